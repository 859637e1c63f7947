"""The entries that a published calibration was fitted to.

A prediction adds up entries as they are now, and says which of them are others than the calibration
knew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from sqlalchemy.orm import Session

from netspec.wire import Snapshot
from profiler_server.latency_tables import service

#: snapshots that a process keeps; one of 5,000 entries takes half a megabyte
_MOST_KEPT = 16


class CalibrationOrigins:
    """The entries of snapshots, read once: a snapshot never changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Mapping[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def values_ms(self, session: Session, snapshot_id: str) -> Mapping[str, float]:
        """Those of one snapshot by canonical key, ms, without a calibration's factors.

        Raises:
            Problem: `unknown-snapshot`.
        """
        with self._lock:
            found = self._known.get(snapshot_id)
            if found is not None:
                self._known.move_to_end(snapshot_id)
                return found
        snapshot = Snapshot.model_validate_json(service.load(session, snapshot_id))
        found = {one.name: one.value_ms for one in snapshot.entries}
        with self._lock:
            self._known[snapshot_id] = found
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return found
