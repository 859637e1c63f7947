"""Sums of entries as latencies of whole networks, also of tables that have no calibration."""

from __future__ import annotations

from netspec.client import LatencyTable
from netspec.networks import Network
from netspec.operators import Precision
from netspec.wire import Calibration


def calibration_of(table: LatencyTable, precision: Precision) -> Calibration:
    """The table's calibration; where it has none, the one that leaves sums as they are.

    Published tables have none: nobody can measure whole networks on their targets.
    """
    return table.snapshot.calibration(precision) or Calibration(
        precision=precision, scale=1.0, intercept_ms=0.0, networks=(), held_out=None
    )


def predicted_ms(table: LatencyTable, network: Network) -> float:
    """Latency (ms) of a whole network of one precision.

    Raises:
        MissingEntries: naming every operator that the table lacks.
        NoCalibration: the calibration has no latency for it.
    """
    if table.snapshot.calibration(network.operators[0].precision) is None:
        return sum(table.values_ms(network.operators))
    return table.predict_ms(network)
