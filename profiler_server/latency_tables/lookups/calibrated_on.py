"""What a published calibration was fitted on: the entries of that time, and the networks.

A prediction adds up entries as they are now. It says which of them are others than the calibration
knew, and in what the network is unlike all that the calibration has seen.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.console.units import latency_text
from netspec.operators import Operator
from netspec.wire import Calibration, NetworkSubject, Snapshot
from profiler_server.entries import profile_repository as networks_of
from profiler_server.latency_model.features import group
from profiler_server.latency_tables import service

#: a network's sum may be so many times that of the largest, or of the smallest, that was calibrated
MOST_TIMES = 1.25
#: share of its sum that may be in groups of operators beyond what any of these has in them
MOST_BEYOND = 0.1
#: groups that a text names
_MOST_NAMED = 3
#: snapshots that a process keeps; one of 5,000 entries takes half a megabyte
_MOST_KEPT = 16


@dataclass(frozen=True)
class CalibratedOn:
    """What the calibrations of one snapshot were fitted on."""

    #: entries by canonical key, ms
    values_ms: Mapping[str, float]
    #: by precision, the greatest share of its sum that a network has in each group of operators;
    #: none where the operators of a network are not known here
    greatest_shares: Mapping[str, Mapping[str, float]]

    def unlike(
        self, calibration: Calibration, operators: Sequence[Operator], parts_ms: Sequence[float]
    ) -> tuple[str, ...]:
        """In what a network is unlike all that a calibration was fitted on, in words.

        Args:
            calibration: one of the snapshot's.
            operators: of the network.
            parts_ms: what each of them adds to its sum.
        """
        found = []
        sum_ms = math.fsum(parts_ms)
        sums = [network.sum_ms for network in calibration.networks]
        if sums and not min(sums) / MOST_TIMES <= sum_ms <= max(sums) * MOST_TIMES:
            found.append(
                f"its operators add up to {latency_text(sum_ms)}, those of the networks calibrated "
                f"on to {latency_text(min(sums))} to {latency_text(max(sums))}"
            )
        most = self.greatest_shares.get(calibration.precision)
        if most is not None:
            shares = _shares(operators, parts_ms)
            beyond = {name: share - most.get(name, 0.0) for name, share in shares.items()}
            excess = {name: share for name, share in beyond.items() if share > 0}
            if sum(excess.values()) > MOST_BEYOND:
                named = sorted(excess, key=lambda name: (-excess[name], name))[:_MOST_NAMED]
                said = ", ".join(
                    f"{shares[name]:.0%} in {name} (there at most {most.get(name, 0.0):.0%})"
                    for name in named
                )
                found.append(f"its sum is made of other operators: {said}")
        return tuple(found)


class CalibrationOrigins:
    """What snapshots' calibrations were fitted on, read once: a snapshot never changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, CalibratedOn] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Session, snapshot_id: str) -> CalibratedOn:
        """What those of a snapshot were fitted on.

        Raises:
            Problem: `unknown-snapshot`.
        """
        with self._lock:
            found = self._known.get(snapshot_id)
            if found is not None:
                self._known.move_to_end(snapshot_id)
                return found
        found = _read(session, snapshot_id)
        with self._lock:
            self._known[snapshot_id] = found
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return found


def _read(session: Session, snapshot_id: str) -> CalibratedOn:
    snapshot = Snapshot.model_validate_json(service.load(session, snapshot_id))
    corrected_ms = snapshot.values_ms
    greatest: dict[str, dict[str, float]] = {}
    for calibration in snapshot.calibrations:
        hashes = {network.subject_hash for network in calibration.networks}
        subjects = networks_of.networks(session, hashes)
        # An imported snapshot names its networks and no more.
        if hashes and hashes == subjects.keys():
            greatest[calibration.precision] = _greatest(list(subjects.values()), corrected_ms)
    return CalibratedOn({one.name: one.value_ms for one in snapshot.entries}, greatest)


def _greatest(
    subjects: Sequence[NetworkSubject], corrected_ms: Mapping[str, float]
) -> dict[str, float]:
    greatest: dict[str, float] = {}
    for subject in subjects:
        operators = subject.network.operators
        # Of what is the same computation a table has one entry, under either key.
        parts_ms = [corrected_ms.get(operator.key, 0.0) for operator in operators]
        for name, share in _shares(operators, parts_ms).items():
            greatest[name] = max(share, greatest.get(name, 0.0))
    return greatest


def _shares(operators: Sequence[Operator], parts_ms: Sequence[float]) -> dict[str, float]:
    """Of a sum, by group of operators."""
    sum_ms = math.fsum(parts_ms) or 1.0
    shares: dict[str, float] = {}
    for operator, part_ms in zip(operators, parts_ms, strict=True):
        name = group(operator)
        shares[name] = shares.get(name, 0.0) + part_ms / sum_ms
    return shares
