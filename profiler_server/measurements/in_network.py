"""Operators' entries out of the profiles of networks, merged with their isolated ones."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

import numpy as np
from sqlalchemy.orm import Session

from netspec.wire import OperatorSubject, Visit
from profiler_server.jobs.repository import ensure_subjects
from profiler_server.kit.bulk import Row
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.in_network import Profiled, in_network_estimates
from profiler_server.latency_model.merging import merge
from profiler_server.measurements import entries
from profiler_server.measurements import profile_repository as profiles
from profiler_server.measurements import share_repository as shares
from profiler_server.measurements.profile_repository import StoredProfile
from profiler_server.measurements.tables import InNetworkEstimateRow


def misfit(visit: Visit, operators: int) -> str:
    """Why the visit's profile cannot be one of its subject, empty if it can or there is none.

    Args:
        visit: any.
        operators: how many its subject has; 0: it is no network.
    """
    if visit.profile is None or len(visit.profile.operators_us) == operators:
        return ""
    there = len(visit.profile.operators_us)
    return f"its profile has {there} operators, its subject {operators or 'is no network'}"


def derive(session: Session, target_id: str) -> None:
    """Derives what the target's profiles say of operators.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: the target.
    """
    stored = profiles.profiles(session, target_id)
    networks = profiles.networks(session, {one.subject_hash for one in stored})
    everything: list[Profiled] = []
    latest: dict[str, StoredProfile] = {}
    devices: dict[str, set[str]] = {}
    for subject_hash, group in groupby(stored, key=attrgetter("subject_hash")):
        own = list(group)
        operators = networks[subject_hash].network.operators
        ensure_subjects(session, [OperatorSubject(operator=one) for one in operators])
        everything.append(
            Profiled(
                operators=tuple(one.content_hash for one in operators),
                operators_us=np.array([one.profile.operators_us for one in own]),
            )
        )
        for key in everything[-1].operators:
            devices.setdefault(key, set()).update(one.device_id for one in own)
            both = [*own, *([latest[key]] if key in latest else [])]
            latest[key] = max(both, key=attrgetter("started_at"))
    rows: list[Row] = [
        {
            "target_id": target_id,
            "subject_hash": key,
            "value_ms": found.value_ms,
            "low_ms": found.low_ms,
            "high_ms": found.high_ms,
            "visits": found.visits,
            "appearances": found.appearances,
            "devices": len(devices[key]),
            "measured_at": latest[key].started_at,
        }
        for key, found in in_network_estimates(everything).items()
    ]
    profiles.put_estimates(session, rows)


def merge_into_entries(session: Session, target_id: str) -> None:
    """Gives the operators with an in-network estimate entries that merge it with the isolated one.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: the target.
    """
    found = profiles.estimates(session, target_id)
    if not found:
        return
    of_shares = entries.isolated_rows(session, target_id, [row.subject_hash for row, _ in found])
    alone = {row["subject_hash"]: row for row in of_shares}
    rows: list[Row] = []
    for precision in sorted({precision or "" for _, precision in found}):
        inside = {
            row.subject_hash: row
            for row, own in found
            if (own or "") == precision and row.value_ms > 0
        }
        isolated = {
            key: Priced.of_entry(row["value_ms"], row["low_ms"], row["high_ms"], row["visits"])
            for key, row in alone.items()
            if key in inside and row["value_ms"] > 0
        }
        in_network = {
            key: Priced.of_entry(row.value_ms, row.low_ms, row.high_ms, row.visits)
            for key, row in inside.items()
        }
        for key, merged in merge(isolated, in_network).items():
            if merged is not isolated.get(key):
                rows.append(_row(target_id, inside[key], alone.get(key), merged))
    shares.put_entries(session, target_id, rows)


def _row(target_id: str, inside: InNetworkEstimateRow, alone: Row | None, merged: Priced) -> Row:
    low_ms, high_ms = merged.interval_ms()
    row: Row = {
        "target_id": target_id,
        "subject_hash": inside.subject_hash,
        "method": shares.IN_NETWORK,
        "fitted_from": None,
        "value_ms": merged.value_ms,
        "low_ms": low_ms,
        "high_ms": high_ms,
        "visits": inside.visits,
        "measured_at": inside.measured_at,
        "devices": inside.devices,
        "disagreement_percent": None,
    }
    if alone is not None:
        row["visits"] += alone["visits"]
        row["measured_at"] = max(inside.measured_at, alone["measured_at"])
        row["devices"] = max(inside.devices, alone["devices"])
        row["disagreement_percent"] = alone["disagreement_percent"]
    return row
