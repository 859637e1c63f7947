"""SQL of networks' profiles, and of what they say of operators."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.statistics import Estimate
from netspec.wire import NetworkSubject, OperatorSubject, Profile
from profiler_server.entries.profiled import (
    PositionEstimates,
    ProfiledBy,
    ProfiledNetwork,
    ProfileSample,
    ProfileSamples,
)
from profiler_server.entries.rows import (
    ACCEPTED,
    InNetworkEstimateRow,
    ProfiledNetworkRow,
    VisitRow,
)
from profiler_server.kit.sql.bulk import Row, insert_or_replace
from profiler_server.kit.sql.many_values import is_in
from profiler_server.latency_model.in_network import Profiled
from profiler_server.subjects.rows import SubjectRow

_STORED = np.dtype("<f8")


def samples(session: Session, target_id: str, network_hashes: Collection[str]) -> ProfileSamples:
    """The profiles of the networks' accepted visits on the target."""
    rows = session.execute(
        select(
            VisitRow.subject_hash, VisitRow.device_id, VisitRow.started_at, VisitRow.profile
        ).where(
            VisitRow.target_id == target_id,
            is_in(session, VisitRow.subject_hash, network_hashes),
            VisitRow.profile.is_not(None),
            ACCEPTED,
        )
    )
    found: ProfileSamples = {}
    for subject_hash, device_id, started_at, profile in rows:
        operators_us = Profile.model_validate_json(profile or "").operators_us
        sample = ProfileSample(started_at, operators_us)
        found.setdefault((subject_hash, device_id), []).append(sample)
    return found


def profiled_targets(session: Session, target_ids: Collection[str]) -> Sequence[str]:
    """Those of the targets that have an accepted profile."""
    profiled = (VisitRow.profile.is_not(None), VisitRow.target_id.in_(target_ids), ACCEPTED)
    found = select(VisitRow.target_id).where(*profiled).distinct().order_by(VisitRow.target_id)
    return session.scalars(found).all()


def profiled_networks(session: Session, target_id: str) -> Sequence[str]:
    """The networks with an accepted profile on the target, by hash."""
    profiled = (VisitRow.profile.is_not(None), ACCEPTED)
    of_target = (
        select(VisitRow.subject_hash)
        .join(SubjectRow, SubjectRow.hash == VisitRow.subject_hash)
        .where(VisitRow.target_id == target_id, SubjectRow.kind == "network", *profiled)
    )
    return session.scalars(of_target.distinct().order_by(VisitRow.subject_hash)).all()


def networks(session: Session, subject_hashes: Collection[str]) -> dict[str, NetworkSubject]:
    """Those of the subjects that are networks."""
    rows = session.execute(
        select(SubjectRow.hash, SubjectRow.document).where(
            is_in(session, SubjectRow.hash, subject_hashes), SubjectRow.kind == "network"
        )
    )
    return {key: NetworkSubject.model_validate_json(document) for key, document in rows}


def layers(session: Session, subject_hashes: Collection[str]) -> dict[str, int]:
    """How many layers those of the subjects have that are operators."""
    rows = session.execute(
        select(SubjectRow.hash, SubjectRow.document).where(
            is_in(session, SubjectRow.hash, subject_hashes), SubjectRow.kind == "operator"
        )
    )
    return {
        key: len(OperatorSubject.model_validate_json(document).operator.layers)
        for key, document in rows
    }


def has_kept(session: Session, target_id: str) -> bool:
    """Whether any network's profiles are kept: then all are."""
    one = select(ProfiledNetworkRow.subject_hash).where(ProfiledNetworkRow.target_id == target_id)
    return session.scalar(one.limit(1)) is not None


def kept(
    session: Session, target_id: str, network_hashes: Collection[str]
) -> dict[ProfiledBy, ProfiledNetwork]:
    """What is kept of those of the networks that were profiled before."""
    rows = session.scalars(
        select(ProfiledNetworkRow).where(
            ProfiledNetworkRow.target_id == target_id,
            is_in(session, ProfiledNetworkRow.subject_hash, network_hashes),
        )
    )
    return {
        (row.subject_hash, row.device_id): ProfiledNetwork(
            operators=(operators := tuple(row.operators.split())),
            operators_us=np.frombuffer(row.operators_us, _STORED).reshape(len(operators), -1),
            measured_at=row.measured_at,
        )
        for row in rows
    }


def keep(session: Session, target_id: str, found: Mapping[ProfiledBy, ProfiledNetwork]) -> None:
    """Keeps networks' profiles, with what they say of each position."""
    rows: list[Row] = []
    for (subject_hash, device_id), one in found.items():
        places = Profiled.of(one.operators, one.operators_us).places
        intervals = [(place.value_ms, place.low_ms, place.high_ms) for place in places]
        row: Row = {
            "target_id": target_id,
            "subject_hash": subject_hash,
            "device_id": device_id,
            "operators": " ".join(one.operators),
            "operators_us": one.operators_us.astype(_STORED).tobytes(),
            "places_ms": np.array(intervals, _STORED).tobytes(),
            "visits": one.operators_us.shape[1],
            "measured_at": one.measured_at,
        }
        rows.append(row)
    key = ("target_id", "subject_hash", "device_id")
    insert_or_replace(session, ProfiledNetworkRow, rows, key)


def places(session: Session, target_id: str) -> list[PositionEstimates]:
    """What each device's profiles of each of the target's networks say of its positions."""
    rows = session.execute(
        select(
            ProfiledNetworkRow.device_id,
            ProfiledNetworkRow.operators,
            ProfiledNetworkRow.places_ms,
            ProfiledNetworkRow.visits,
            ProfiledNetworkRow.measured_at,
        )
        .where(ProfiledNetworkRow.target_id == target_id)
        .order_by(ProfiledNetworkRow.subject_hash, ProfiledNetworkRow.device_id)
    )
    found = []
    for device_id, operators, places_ms, visits, measured_at in rows:
        intervals = np.frombuffer(places_ms, _STORED).reshape(-1, 3).tolist()
        estimates = tuple(Estimate(value, low, high, visits) for value, low, high in intervals)
        profiled = Profiled(tuple(operators.split()), estimates)
        found.append(PositionEstimates(device_id, profiled, measured_at))
    return found


def put_estimates(session: Session, rows: Sequence[Row]) -> None:
    """Inserts what profiles say of operators, or replaces what is there."""
    insert_or_replace(session, InNetworkEstimateRow, rows, ("target_id", "subject_hash"))


def estimates(session: Session, target_id: str) -> list[tuple[InNetworkEstimateRow, str | None]]:
    """What profiles say of the target's operators, with each one's precision."""
    rows = session.execute(
        select(InNetworkEstimateRow, SubjectRow.precision)
        .join(SubjectRow, SubjectRow.hash == InNetworkEstimateRow.subject_hash)
        .where(InNetworkEstimateRow.target_id == target_id)
        .order_by(InNetworkEstimateRow.subject_hash)
        .execution_options(populate_existing=True)
    )
    return [(row, precision) for row, precision in rows]
