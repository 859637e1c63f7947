"""Where int8 is slower than float32 on a target, and what avoiding it gains."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from netspec.client import LatencyTable
from netspec.networks import Network
from netspec.operators import operator_from_key
from netspec.spaces import Space
from netspec.validation import FrozenModel
from netspec.wire import Snapshot
from search_client.quantization.mixed_precision import conversions_of, fastest_mix


class OperatorPrecisions(FrozenModel):
    """One operator of the table in both precisions."""

    #: canonical key in int8
    key: str
    float32_ms: float
    int8_ms: float

    @property
    def ratio(self) -> float:
        """int8 over float32; above 1 where int8 is slower."""
        return self.int8_ms / self.float32_ms if self.float32_ms else float("inf")


class KernelSummary(FrozenModel):
    """All blocks of one kernel size."""

    #: px
    kernel: int
    operators: int
    #: of them, those whose int8 is slower than float32
    slower: int
    #: median of int8 over float32
    ratio: float


#: share of a latency below which a gain is within what tables and their sums are off by
_WORTH = 0.01


def _gain(before_ms: float, after_ms: float) -> str:
    """What going from one latency to another comes to, in words."""
    share = 1 - after_ms / before_ms if before_ms else 0.0
    if share < _WORTH:
        return f"does not pay: {max(0.0, 100 * share):.1f} % less, within what a table is off by"
    return f"pays: {100 * share:.1f} % less"


class SpaceGain(FrozenModel):
    """What a search in int8 gains where it avoids candidates that are slower than in float32."""

    #: mean int8 latency over all networks of the space, calibrated where a calibration exists
    mean_ms: float
    #: the same over networks without slower candidates
    mean_without_slower_ms: float
    #: candidates that are slower in int8, and all
    slower: int
    candidates: int

    @property
    def verdict(self) -> str:
        """Whether avoiding candidates that are slower in int8 pays, in a sentence."""
        if not self.slower:
            return "No candidate is slower in int8 than in float32: there is nothing to avoid"
        return (
            f"Avoiding the {self.slower} of {self.candidates} candidates that are slower in int8 "
            f"{_gain(self.mean_ms, self.mean_without_slower_ms)}"
        )


class NetworkGain(FrozenModel):
    """What mixed precision gains for one network; sums of entries."""

    name: str
    int8_ms: float
    mixed_ms: float
    #: indices of the operators that are faster kept in float32, conversions counted
    float_blocks: tuple[int, ...]
    #: conversions that the table lacks, so that borders there were not considered
    missing: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Whether keeping some blocks in float32 pays, in a sentence."""
        if not self.float_blocks:
            return f"Keeping blocks of {self.name} in float32 does not pay: none is faster so"
        blocks = ",".join(map(str, self.float_blocks))
        return (
            f"Keeping operators {blocks} of {self.name} in float32 "
            f"{_gain(self.int8_ms, self.mixed_ms)}"
        )


class QuantizationReport(FrozenModel):
    """What a snapshot tells of int8 on its target."""

    target: str
    snapshot: str
    #: in both precisions, worst ratio first
    operators: tuple[OperatorPrecisions, ...]
    kernels: tuple[KernelSummary, ...]
    space: SpaceGain | None
    networks: tuple[NetworkGain, ...]

    @property
    def slower(self) -> tuple[OperatorPrecisions, ...]:
        """Operators whose int8 is slower than float32, worst first."""
        return tuple(row for row in self.operators if row.int8_ms > row.float32_ms)


def quantization_report(
    snapshot: Snapshot, space: Space | None = None, networks: Sequence[Network] = ()
) -> QuantizationReport:
    """Compare int8 with float32 all over a table.

    Args:
        snapshot: the table.
        space: to tell what its search gains; the table must hold it in both precisions.
        networks: to tell what mixed precision gains.

    Raises:
        MissingEntries: the table lacks operators of the space or of a network.
    """
    table = LatencyTable(snapshot)
    rows = _both_precisions(snapshot.values_ms)
    return QuantizationReport(
        target=snapshot.target_id,
        snapshot=snapshot.id,
        operators=tuple(sorted(rows, key=lambda row: (-row.ratio, row.key))),
        kernels=_by_kernel(rows),
        space=None if space is None else _space_gain(table, space),
        networks=tuple(_network_gain(table, network) for network in networks),
    )


def _both_precisions(values_ms: dict[str, float]) -> list[OperatorPrecisions]:
    rows = []
    for key, int8_ms in values_ms.items():
        operator = operator_from_key(key)
        if operator.precision != "int8" or operator.place == "conversion":
            continue
        float32_ms = values_ms.get(operator.with_precision("float32").key)
        if float32_ms is not None:
            rows.append(OperatorPrecisions(key=key, float32_ms=float32_ms, int8_ms=int8_ms))
    return rows


def _by_kernel(rows: Sequence[OperatorPrecisions]) -> tuple[KernelSummary, ...]:
    by_kernel: dict[int, list[OperatorPrecisions]] = {}
    for row in rows:
        operator = operator_from_key(row.key)
        if operator.place == "block":
            by_kernel.setdefault(operator.largest_kernel, []).append(row)
    return tuple(
        KernelSummary(
            kernel=kernel,
            operators=len(held),
            slower=sum(row.int8_ms > row.float32_ms for row in held),
            ratio=statistics.median(row.ratio for row in held),
        )
        for kernel, held in sorted(by_kernel.items())
    )


def _space_gain(table: LatencyTable, space: Space) -> SpaceGain:
    """Every choice of a block is taken as equally likely; Zero costs nothing and stays."""
    int8 = space.with_precision("int8")
    sum_ms = kept_ms = sum(table.values_ms((*int8.fixed_start, *int8.fixed_end)))
    slower = candidates = 0
    for block in int8.blocks:
        costs = table.values_ms(block.candidates)
        floats = table.values_ms(
            [candidate.with_precision("float32") for candidate in block.candidates]
        )
        fast = [cost for cost, other in zip(costs, floats, strict=True) if cost <= other]
        zero = [0.0] * int(block.skippable)
        # Where all candidates are slower, the search cannot avoid them.
        kept = [*(fast or costs), *zero]
        sum_ms += sum(costs) / len([*costs, *zero])
        kept_ms += sum(kept) / len(kept)
        slower += len(costs) - len(fast)
        candidates += len(costs)
    calibration = table.snapshot.calibration("int8")
    calibrated = (lambda ms: ms) if calibration is None else calibration.predict_ms
    return SpaceGain(
        mean_ms=calibrated(sum_ms),
        mean_without_slower_ms=calibrated(kept_ms),
        slower=slower,
        candidates=candidates,
    )


def _network_gain(table: LatencyTable, network: Network) -> NetworkGain:
    table.values_ms(network.with_precision("int8").operators)
    values_ms = table.snapshot.values_ms
    choice = fastest_mix(network, values_ms)
    conversions = conversions_of(network)
    return NetworkGain(
        name=network.name,
        int8_ms=choice.int8_ms,
        mixed_ms=choice.mixed_ms,
        float_blocks=choice.blocks,
        missing=tuple(
            sorted(conversion.key for conversion in conversions if conversion.key not in values_ms)
        ),
    )
