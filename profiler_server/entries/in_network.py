"""Operators' entries out of the profiles of networks, merged with their isolated ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.statistics import Estimate
from netspec.wire import OperatorSubject, Visit
from profiler_server.entries import derived_repository as derived
from profiler_server.entries import isolated as entries
from profiler_server.entries import profile_repository as profiles
from profiler_server.entries.consensus import consensus
from profiler_server.entries.device_samples import TYPICAL_COLUMNS
from profiler_server.entries.profiled import ProfiledNetwork, ProfileSamples
from profiler_server.entries.rows import InNetworkEstimateRow
from profiler_server.kit.sql.bulk import Row
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.in_network import (
    InNetwork,
    Profiled,
    at_resolution,
    in_network_estimates,
)
from profiler_server.latency_model.merging import merge
from profiler_server.subjects.repository import ensure_subjects

#: networks whose visits are held in memory at a time
_CHUNK = 50
#: as that of isolated entries, but devices may have seen an operator in different networks, where
#: its neighbours help it or hurt it
_TOLERANCE = 0.15


def misfit(visit: Visit, operators: int) -> str:
    """Why the visit's profile cannot be one of its subject, empty if it can or there is none.

    Args:
        visit: any.
        operators: how many its subject has; 0: it is no network.
    """
    if visit.profile is None:
        return ""
    if visit.profile.kernels:
        return "its profile is of a model's kernels, its subject a network" if operators else ""
    if len(visit.profile.operators_us) == operators:
        return ""
    there = len(visit.profile.operators_us)
    return f"its profile has {there} operators, its subject {operators or 'is no network'}"


def extend(session: Session, target_id: str, new: ProfileSamples) -> None:
    """Brings what the target's profiles say of operators up to date with those of new visits.

    Args:
        session: a writing transaction that holds the target's lock and has stored the visits.
        target_id: the target.
        new: the profiles of the new visits alone.
    """
    if not profiles.has_kept(session, target_id):
        # The first ones, or those of a version that kept none.
        derive(session, target_id)
        return
    kept = profiles.kept(session, target_id, {network for network, _ in new})
    operators = _operators(session, {network for network, _ in new.keys() - kept.keys()})
    changed = {
        key: kept[key].joined(ProfiledNetwork.of(kept[key].operators, samples))
        if key in kept
        else ProfiledNetwork.of(operators[key[0]], samples)
        for key, samples in new.items()
    }
    profiles.keep(session, target_id, changed)
    _put_estimates(session, target_id, {key for one in changed.values() for key in one.operators})


def derive(session: Session, target_id: str) -> None:
    """Derives what the target's profiles say of operators from its visits.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: the target.
    """
    hashes = profiles.profiled_networks(session, target_id)
    operators = _operators(session, hashes)
    for start in range(0, len(hashes), _CHUNK):
        samples = profiles.samples(session, target_id, hashes[start : start + _CHUNK])
        found = {key: ProfiledNetwork.of(operators[key[0]], own) for key, own in samples.items()}
        profiles.keep(session, target_id, found)
    _put_estimates(session, target_id, {key for one in operators.values() for key in one})


def _operators(session: Session, network_hashes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The networks' operators by position, which become subjects."""
    found = profiles.networks(session, network_hashes)
    operators = {key: subject.network.operators for key, subject in found.items()}
    distinct = dict.fromkeys(one for chain in operators.values() for one in chain)
    ensure_subjects(session, [OperatorSubject(operator=one) for one in distinct])
    return {key: tuple(one.content_hash for one in chain) for key, chain in operators.items()}


def _put_estimates(session: Session, target_id: str, operators: Collection[str]) -> None:
    """Stores what all networks of all devices together say of these operators."""
    places = profiles.places(session, target_id)
    by_device: dict[str, list[Profiled]] = {}
    measured_at: dict[str, datetime] = {}
    for place in places:
        by_device.setdefault(place.device_id, []).append(place.profiled)
        for key in place.profiled.operators:
            measured_at[key] = max(place.measured_at, measured_at.get(key, place.measured_at))
    said: dict[str, list[InNetwork]] = {}
    for _, networks in sorted(by_device.items()):
        for key, found in in_network_estimates(networks).items():
            said.setdefault(key, []).append(found)
    layers = profiles.layers(session, operators)
    rows = [
        {
            "target_id": target_id,
            "subject_hash": key,
            "measured_at": measured_at[key],
            **_together(of_devices, layers[key]),
        }
        for key, of_devices in said.items()
        if key in operators
    ]
    profiles.put_estimates(session, rows)


def _together(of_devices: Sequence[InNetwork], layers: int) -> Row:
    """What devices say of an operator; each of its layers is at least a kernel of its own."""
    found = consensus(
        [Estimate(one.value_ms, one.low_ms, one.high_ms, one.visits) for one in of_devices],
        _TOLERANCE,
    )
    low_ms, high_ms = at_resolution(found.value_ms, found.low_ms, found.high_ms, layers)
    return {
        "value_ms": found.value_ms,
        "low_ms": low_ms,
        "high_ms": high_ms,
        "visits": sum(one.visits for one in of_devices),
        "appearances": sum(one.appearances for one in of_devices),
        "devices": len(of_devices),
        "held_back": not found.holds,
    }


def merge_into_entries(session: Session, target_id: str) -> None:
    """Gives the operators with an in-network estimate entries that merge it with the isolated one.

    Where devices are not of one mind about one of the two, the other one counts.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: the target.
    """
    found = profiles.estimates(session, target_id)
    if not found:
        return
    of_shares = entries.isolated_rows(session, target_id, [row.subject_hash for row, _ in found])
    alone = {row["subject_hash"]: row for row in of_shares}
    rows = dict(alone)
    for precision in sorted({precision or "" for _, precision in found}):
        inside = {
            row.subject_hash: row
            for row, own in found
            if (own or "") == precision
            and row.value_ms > 0
            and not (row.held_back and row.subject_hash in alone)
        }
        isolated = {
            key: Priced.of_entry(row["value_ms"], row["low_ms"], row["high_ms"], row["visits"])
            for key, row in alone.items()
            if key in inside and row["value_ms"] > 0 and not row["held_back"]
        }
        in_network = {
            key: Priced.of_entry(row.value_ms, row.low_ms, row.high_ms, row.visits)
            for key, row in inside.items()
        }
        for key, merged in merge(isolated, in_network).items():
            if merged is not isolated.get(key):
                rows[key] = _row(target_id, inside[key], alone.get(key), merged)
    derived.put_entries(session, target_id, list(rows.values()))


def _row(target_id: str, inside: InNetworkEstimateRow, alone: Row | None, merged: Priced) -> Row:
    low_ms, high_ms = merged.interval_ms()
    row: Row = {
        "target_id": target_id,
        "subject_hash": inside.subject_hash,
        "method": derived.IN_NETWORK,
        "fitted_from": None,
        "value_ms": merged.value_ms,
        "low_ms": low_ms,
        "high_ms": high_ms,
        "visits": inside.visits,
        "measured_at": inside.measured_at,
        "devices": inside.devices,
        "disagreement_percent": None,
        "held_back": inside.held_back,
    }
    if alone is not None:
        row["visits"] += alone["visits"]
        row["measured_at"] = max(inside.measured_at, alone["measured_at"])
        row["devices"] = max(inside.devices, alone["devices"])
        row |= {name: alone[name] for name in ("disagreement_percent", *TYPICAL_COLUMNS)}
    return row
