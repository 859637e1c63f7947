"""A table snapshot as whoever searches reads it: entries by operator, sums, predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from netspec.client.errors import NoCalibration, NoSnapshot
from netspec.console.extras import needs_extra
from netspec.console.outputs import write_file
from netspec.console.units import latency_text
from netspec.errors import MissingEntries
from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.validation import first_problem
from netspec.wire import Calibration, Snapshot
from netspec.wire.columns import arrow_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class LatencyTable:
    """One immutable snapshot; nothing here asks the network again."""

    def __init__(self, snapshot: Snapshot, assumed_ms: Mapping[str, float] | None = None) -> None:
        """A table.

        Args:
            snapshot: holds the entries.
            assumed_ms: by canonical key, what operators without entry are taken to cost, ms.
        """
        self.snapshot = snapshot
        self.assumed_ms = dict(assumed_ms or {})
        self._values_ms = {**self.assumed_ms, **snapshot.values_ms}

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """The table of a snapshot that was saved as JSON.

        Raises:
            NoSnapshot: there is no such file, or it is no snapshot.
        """
        return cls(read_snapshot(Path(path)))

    def save(self, path: Path | str) -> None:
        """Writes the snapshot as JSON, for `from_file`; makes the folders above it.

        Raises:
            UserError: the file cannot be written.
        """
        write_file(Path(path), self.snapshot.model_dump_json() + "\n")

    @property
    def prices_ms(self) -> Mapping[str, float]:
        """Latencies (ms) by canonical key: corrected entries, and those that are assumed."""
        return MappingProxyType(self._values_ms)

    def lacking(self, operators: Iterable[Operator]) -> tuple[Operator, ...]:
        """Those of the operators that have neither an entry nor a latency that is assumed."""
        return tuple(one for one in dict.fromkeys(operators) if one.key not in self._values_ms)

    def values_ms(self, operators: Iterable[Operator]) -> tuple[float, ...]:
        """Each operator's entry in ms, times its factor where the calibration has one.

        Raises:
            MissingEntries: naming every operator that the table lacks or holds back.
        """
        wanted = tuple(operators)
        missing = [operator.key for operator in wanted if operator.key not in self._values_ms]
        if missing:
            raise MissingEntries(self.snapshot.target_id, missing, self.snapshot.held_back)
        return tuple(self._values_ms[operator.key] for operator in wanted)

    def calibration(self, precision: Precision) -> Calibration:
        """How sums map to whole networks.

        Raises:
            NoCalibration: no whole network was measured in this precision.
        """
        calibration = self.snapshot.calibration(precision)
        if calibration is None:
            raise NoCalibration(
                f"the table of target {self.snapshot.target_id} has no {precision} calibration; "
                "measure whole networks first with `search-client profile`"
            )
        return calibration

    def predict_ms(self, network: Network) -> float:
        """Calibrated latency (ms) of a whole network of one precision.

        Raises:
            MissingEntries: naming every operator that the table lacks.
            NoCalibration: no whole network was measured in this precision, or only such as are so
                much slower that this one would take less than nothing.
        """
        calibration = self.calibration(network.operators[0].precision)
        predicted_ms = calibration.predict_ms(sum(self.values_ms(network.operators)))
        if predicted_ms < 0:
            raise NoCalibration(
                f"the calibration of target {self.snapshot.target_id} gives {network.name} "
                f"{latency_text(predicted_ms)}: it is too far below the networks that were "
                "measured; measure some like it with `search-client profile`"
            )
        return predicted_ms

    @property
    def energies_mj(self) -> Mapping[str, float]:
        """Measured energies of an inference (mJ) by canonical key, all by one meter."""
        return {
            entry.name: entry.energy.value_mj
            for entry in self.snapshot.entries
            if entry.energy is not None
        }

    def energy_scale(self, precision: Precision) -> float:
        """By what sums of operators' energies are those of whole networks; 1: nobody knows."""
        calibration = self.snapshot.calibration(precision)
        found = None if calibration is None else calibration.energy
        return 1.0 if found is None else found.scale

    def predict_mj(self, network: Network) -> float | None:
        """Energy of an inference (mJ) of a whole network; None: the table lacks some operator's."""
        values = self.energies_mj
        parts = [values.get(operator.key) for operator in network.operators]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return sum(known) * self.energy_scale(network.operators[0].precision)

    def unlike(self, network: Network) -> tuple[str, ...]:
        """In what a network is unlike all that the table is calibrated on, in words.

        The error and the interval of predictions were found on such as these; empty: in nothing.

        Raises:
            MissingEntries: naming every operator that the table lacks.
            NoCalibration: no whole network was measured in this precision.
        """
        calibration = self.calibration(network.operators[0].precision)
        return calibration.unlike(network.operators, self.values_ms(network.operators))

    def to_arrow(self) -> pa.Table:
        """Return the table's rows and columns as the server's Arrow and Parquet have them.

        One row an entry, sorted by name: the operator's fields (sizes in px), `value_ms` with its
        95 % interval, `corrected_ms` as a calibration makes it, visits, method and time, and
        target, runtime and snapshot. Identity and calibrations are in the schema's metadata.

        Raises:
            UserError: pyarrow is not installed; the extra `arrow` brings it.
        """
        return arrow_table(self.snapshot)

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows and columns of `to_arrow`; counts and sizes take missing values.

        Raises:
            UserError: pandas or pyarrow is not installed; the extra `pandas` brings both.
        """
        with needs_extra("pandas", "a table in pandas"):
            import pandas as pd  # noqa: PLC0415 - optional
            import pyarrow as pa  # noqa: PLC0415 - optional

        nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        return self.to_arrow().to_pandas(types_mapper=nullable.get)


def read_snapshot(path: Path) -> Snapshot:
    """A snapshot that was saved as JSON.

    Raises:
        NoSnapshot: there is no such file, or it is no snapshot.
    """
    try:
        return Snapshot.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NoSnapshot(
            f"cannot read the snapshot {path}: {error.strerror}; `search-client snapshot` saves one"
        ) from error
    except ValidationError as error:
        raise NoSnapshot(
            f"{path} is no snapshot: {first_problem(error)}; `search-client snapshot` saves one"
        ) from error
