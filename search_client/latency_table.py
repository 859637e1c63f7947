"""A table snapshot as the search reads it: entries by operator, sums, predictions."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.errors import MissingEntries, UserError
from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.wire import Calibration, Snapshot


class NoCalibration(UserError):
    """The snapshot cannot predict whole networks in a precision."""


class LatencyTable:
    """One immutable snapshot; nothing here asks the network again."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._values_ms = snapshot.values_ms

    def values_ms(self, operators: Iterable[Operator]) -> tuple[float, ...]:
        """Each operator's entry in ms, times its factor where the calibration has one.

        Raises:
            MissingEntries: naming every operator that the table lacks.
        """
        wanted = tuple(operators)
        missing = [operator.key for operator in wanted if operator.key not in self._values_ms]
        if missing:
            raise MissingEntries(self.snapshot.target_id, missing)
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
        """Calibrated latency (ms) of a whole network of one precision."""
        calibration = self.calibration(network.operators[0].precision)
        return calibration.predict_ms(sum(self.values_ms(network.operators)))
