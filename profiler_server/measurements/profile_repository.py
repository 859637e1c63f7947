"""SQL of networks' profiles, and of what they say of operators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.wire import NetworkSubject, Profile
from profiler_server.jobs.tables import SubjectRow
from profiler_server.kit.among import among
from profiler_server.kit.bulk import Row, insert_or_replace
from profiler_server.measurements.tables import InNetworkEstimateRow, VisitRow


@dataclass(frozen=True)
class StoredProfile:
    """The profile of an accepted visit."""

    subject_hash: str
    device_id: str
    started_at: datetime
    profile: Profile


def profiles(session: Session, target_id: str) -> list[StoredProfile]:
    """The profiles of the target's accepted visits, by subject and start."""
    rows = session.execute(
        select(VisitRow.subject_hash, VisitRow.device_id, VisitRow.started_at, VisitRow.profile)
        .where(
            VisitRow.target_id == target_id,
            VisitRow.profile.is_not(None),
            VisitRow.rejected == "",
        )
        .order_by(VisitRow.subject_hash, VisitRow.started_at, VisitRow.id)
    )
    return [
        StoredProfile(subject_hash, device_id, started_at, Profile.model_validate_json(profile))
        for subject_hash, device_id, started_at, profile in rows
        if profile is not None
    ]


def profiled_targets(session: Session) -> Sequence[str]:
    """The targets with an accepted profile."""
    profiled = (VisitRow.profile.is_not(None), VisitRow.rejected == "")
    found = select(VisitRow.target_id).where(*profiled).distinct().order_by(VisitRow.target_id)
    return session.scalars(found).all()


def networks(session: Session, subject_hashes: Collection[str]) -> dict[str, NetworkSubject]:
    """Those of the subjects that are networks."""
    rows = session.execute(
        select(SubjectRow.hash, SubjectRow.document).where(
            among(session, SubjectRow.hash, subject_hashes), SubjectRow.kind == "network"
        )
    )
    return {key: NetworkSubject.model_validate_json(document) for key, document in rows}


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
