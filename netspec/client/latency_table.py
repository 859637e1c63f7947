"""A table snapshot as whoever searches reads it: entries by operator, sums, predictions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from netspec.client.errors import NoCalibration, NoSnapshot
from netspec.console.outputs import write_file
from netspec.console.units import latency_text
from netspec.errors import MissingEntries
from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.validation import first_problem
from netspec.wire import Calibration, Snapshot


class LatencyTable:
    """One immutable snapshot; nothing here asks the network again."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._values_ms = snapshot.values_ms

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
