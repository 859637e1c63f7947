"""How runs without pause are made: launches of `WINDOW_S` each, one right after the other."""

from __future__ import annotations

from netspec.protocol import MeasurementProtocol
from netspec.wire import WINDOW_S

#: of a window: models far below any network end theirs earlier, so that their times fit in memory
_MOST_RUNS = 100_000


def sustained_protocol(protocol: MeasurementProtocol) -> MeasurementProtocol:
    """The numbers of a launch without pause; all else is the protocol's.

    Nothing is warmed up beforehand: what the first runs of a launch take is in its 95th percentile.
    """
    return protocol.model_copy(
        update={
            "warmup_ms": 0.0,
            "measure_ms": 1000 * WINDOW_S,
            "min_runs": 1,
            "max_runs": _MOST_RUNS,
        }
    )
