"""What a table has of the operators of a `.tflite` file, and the latency that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netspec.client.errors import NoPrediction
from netspec.console.extras import needs_extra
from netspec.grouping import Grouping, Knowledge, grouping, tiling
from netspec.networks import MAX_NAME
from netspec.operators import OperatorBase, Precision
from netspec.wire import Assembly, LookedUpLatency, Prediction, Target, precision_of

#: operators that a message names
_MOST_NAMED = 3


@dataclass(frozen=True)
class PricedPiece:
    """An operator of a file, and what the table has of it."""

    operator: OperatorBase
    #: names of the file's layers that it is
    layers: tuple[str, ...]
    #: `measured`, `predicted` from others' entries, or `missing`
    state: Knowledge
    #: by itself, without a calibration; None where it is missing
    value_ms: float | None

    @property
    def key(self) -> str:
        """The operator's canonical key."""
        return self.operator.key


@dataclass(frozen=True)
class ModelPieces:
    """The operators that make up a file, as one target's table knows them best."""

    name: str
    target: Target
    #: side of its input, px
    input_size: int
    #: in order of execution
    pieces: tuple[PricedPiece, ...]
    #: operators of the file that move no values, and so have no price
    views: tuple[str, ...]

    @property
    def precision(self) -> Precision | None:
        """The precision of all operators but conversions, None where it is mixed."""
        return precision_of([piece.operator for piece in self.pieces])

    def lacking(self) -> tuple[OperatorBase, ...]:
        """Operators that were not measured, each once."""
        return tuple(
            dict.fromkeys(piece.operator for piece in self.pieces if piece.state != "measured")
        )

    def assembly(self) -> Assembly:
        """The question for the file's latency.

        Raises:
            NoPrediction: the table has nothing like some of the operators.
        """
        missing = [piece.key for piece in self.pieces if piece.state == "missing"]
        if missing:
            named = ", ".join(dict.fromkeys(missing[:_MOST_NAMED]))
            raise NoPrediction(
                f"the table of target {self.target.id} has nothing like {len(missing)} of the "
                f"{len(self.pieces)} operators of {self.name}: {named}"
                f"{' and others' if len(missing) > _MOST_NAMED else ''}; measure what the file "
                "needs with `search-client profile --model FILE`"
            )
        return Assembly(
            name=self.name[:MAX_NAME], operators=tuple(piece.operator for piece in self.pieces)
        )


@dataclass(frozen=True)
class ModelPrediction:
    """The latency of a `.tflite` file on a target, which no device ran."""

    prediction: Prediction
    #: what it was made of
    of: ModelPieces


def grouped(path: Path) -> Grouping:
    """What the layers of a `.tflite` file may be priced as.

    Raises:
        UnreadableModel: the file is damaged, or has an operator that is no layer.
        InvalidSpec: a layer is like no operator; the message names it.
        UserError: the schema of such files is not installed.
    """
    with needs_extra("search", "reading a .tflite file"):
        from netspec.tflite import read_network  # noqa: PLC0415 - not on every machine
    return grouping(read_network(path))


def pieces_of(
    found: Grouping, target: Target, latencies: Mapping[str, LookedUpLatency]
) -> ModelPieces:
    """The pieces that the table knows best.

    Args:
        found: of the file.
        target: whose table was asked.
        latencies: by key, of every operator of `found`.
    """
    known = {key: _knowledge(latency) for key, latency in latencies.items()}
    layers = found.network.layers
    return ModelPieces(
        name=found.network.name,
        target=target,
        input_size=found.network.input_shape[0],
        pieces=tuple(
            PricedPiece(
                operator,
                tuple(layers[position].layer.name for position in positions),
                known[operator.key],
                _value_ms(latencies[operator.key]),
            )
            for operator, positions in tiling(found, known)
        ),
        views=found.network.views,
    )


def _knowledge(latency: LookedUpLatency) -> Knowledge:
    if latency.entry is not None:
        return "measured"
    return "missing" if latency.predicted is None else "predicted"


def _value_ms(latency: LookedUpLatency) -> float | None:
    found = latency.entry or latency.predicted
    return None if found is None else found.value_ms
