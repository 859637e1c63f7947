"""Storing visits, each exactly once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from netspec.launches import Launch, read_launch
from netspec.wire import Visit, VisitBatch, VisitReceipt, VisitReceipts
from profiler_server.devices import repository as devices
from profiler_server.entries import derivation, repository
from profiler_server.entries import profile_repository as profiles
from profiler_server.entries.device_samples import Sample, Samples
from profiler_server.entries.in_network import misfit
from profiler_server.entries.profiled import ProfileSample, ProfileSamples
from profiler_server.entries.repository import JudgedVisit
from profiler_server.jobs import endings, progress
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.leases.coverage import coverages
from profiler_server.subjects import repository as subjects
from profiler_server.visits.acceptance import rejection, rules_of

ReceiptState = Literal["stored", "duplicate", "conflict", "unknown", "unleased"]


@dataclass(frozen=True)
class ReceivedVisit:
    """A visit with the digest that tells it from another one under the same id."""

    visit: Visit
    #: SHA-256 of the message
    digest: str
    #: what its raw text says
    launch: Launch


def received(batch: VisitBatch) -> list[ReceivedVisit]:
    """The visits of an upload; needs no database.

    Raises:
        Problem: `visit-without-lease`.
    """
    for visit in batch.visits:
        if visit.lease_id is None:
            raise Problem(
                "visit-without-lease",
                f"visit {visit.id} names no lease, as agents older than this server send them; "
                "update the agent, which then measures the subject again",
            )
    return [
        ReceivedVisit(
            visit,
            hashlib.sha256(visit.model_dump_json().encode()).hexdigest(),
            read_launch(visit.raw),
        )
        for visit in batch.visits
    ]


def store(session: Session, batch: Sequence[ReceivedVisit], token_id: str) -> VisitReceipts:
    """Stores visits, extends the entries they change, and closes the tasks they complete.

    Each must be covered by the lease that it names. Whether that still lives does not matter: a
    late visit is a true measurement.

    Args:
        session: a writing transaction.
        batch: the visits, from `received`.
        token_id: that they were uploaded with.
    """
    first = {one.visit.id: one for one in reversed(batch)}
    # Entries and progress are extended by what is new: no other upload for these targets may be
    # half-way through the same.
    targets = devices.lock_targets(session, {one.visit.target_id for one in batch})
    present = repository.digests(session, first)
    protocols = devices.protocols(session, {one.visit.device_id for one in batch})
    operators = _operators_of_profiled(session, batch)
    absent = [one for key, one in first.items() if key not in present]
    known = _with_known_parts(session, absent, targets, protocols)
    new = _leased(session, known)
    judged = [
        # In one order: uploads for different targets may name the same ids.
        JudgedVisit(
            one.visit,
            one.digest,
            rejection(one.visit, rules_of(protocols[one.visit.device_id]))
            or misfit(one.visit, operators.get(one.visit.subject_hash, 0)),
            one.launch,
        )
        for one in (new[key] for key in sorted(new))
    ]
    now = database_now(session)
    winners = {**present, **{key: one.digest for key, one in new.items()}}
    if repository.store_visits(session, judged, token_id, now) != len(judged):
        # An upload for another target has taken an id in the meantime.
        winners |= repository.digests(session, new)
    stored = [one for one in judged if winners[one.visit.id] == one.digest]
    _follow_up(session, stored, operators, now)
    unleased = known.keys() - new.keys()
    return _receipts(batch, winners, {one.visit.id for one in stored}, unleased)


def _operators_of_profiled(session: Session, batch: Sequence[ReceivedVisit]) -> dict[str, int]:
    """How many operators the networks have that were profiled."""
    profiled = {one.visit.subject_hash for one in batch if one.visit.profile is not None}
    if not profiled:
        return {}
    found = profiles.networks(session, profiled)
    return {key: len(subject.network.operators) for key, subject in found.items()}


def _with_known_parts(
    session: Session,
    visits: Collection[ReceivedVisit],
    known_targets: Collection[str],
    known_devices: Collection[str],
) -> dict[UUID, ReceivedVisit]:
    known_subjects = subjects.measurable(session, {visit.visit.subject_hash for visit in visits})
    return {
        visit.visit.id: visit
        for visit in visits
        if visit.visit.device_id in known_devices
        and visit.visit.target_id in known_targets
        and visit.visit.subject_hash in known_subjects
    }


def _leased(session: Session, visits: Mapping[UUID, ReceivedVisit]) -> dict[UUID, ReceivedVisit]:
    """Those of the visits that the lease covers which they name."""
    covering = coverages(session, {one.visit.lease_id or "" for one in visits.values()})
    return {
        key: one
        for key, one in visits.items()
        if (lease := covering.get(one.visit.lease_id or "")) and lease.covers(one.visit)
    }


def _follow_up(
    session: Session, stored: Iterable[JudgedVisit], networks: Collection[str], now: datetime
) -> None:
    """Brings entries and tasks up to date.

    Args:
        session: a writing transaction.
        stored: the new visits.
        networks: hashes of those that were profiled; profiles of models tell of no operator.
        now: by the database's clock.
    """
    samples: dict[str, Samples] = {}
    visits: dict[str, Counter[str]] = {}
    profiled: dict[str, ProfileSamples] = {}
    with_profile: dict[str, Counter[str]] = {}
    for one in stored:
        visit = one.visit
        if not one.rejected:
            of_subject = samples.setdefault(visit.target_id, {}).setdefault(visit.subject_hash, {})
            sample = Sample(
                visit.statistics.p5_us,
                visit.started_at,
                visit.statistics.median_us,
                visit.statistics.p95_us,
                visit.statistics.std_us,
                one.launch.load_ms,
                one.launch.first_inference_ms,
                one.launch.peak_memory_bytes,
            )
            of_subject.setdefault(visit.device_id, []).append(sample)
            visits.setdefault(visit.target_id, Counter())[visit.subject_hash] += 1
            if visit.profile is not None:
                with_profile.setdefault(visit.target_id, Counter())[visit.subject_hash] += 1
            if visit.profile is not None and visit.subject_hash in networks:
                own = profiled.setdefault(visit.target_id, {})
                own.setdefault((visit.subject_hash, visit.device_id), []).append(
                    ProfileSample(visit.started_at, visit.profile.operators_us)
                )
    done: list[str] = []
    for target_id, of_target in sorted(samples.items()):
        derivation.extend(session, target_id, of_target, profiled.get(target_id, {}))
        counted = with_profile.get(target_id, Counter())
        done += progress.count_new_visits(session, target_id, visits[target_id], counted, now)
    endings.follow(session, done)


def _receipts(
    batch: Sequence[ReceivedVisit],
    winners: Mapping[UUID, str],
    stored: set[UUID],
    unleased: set[UUID],
) -> VisitReceipts:
    receipts = []
    fresh = set(stored)
    for one in batch:
        key = one.visit.id
        state: ReceiptState = "duplicate"
        if key not in winners:
            state = "unleased" if key in unleased else "unknown"
        elif winners[key] != one.digest:
            state = "conflict"
        elif key in fresh:
            state = "stored"
            fresh.remove(key)
        receipts.append(VisitReceipt(id=key, state=state))
    return VisitReceipts(receipts=tuple(receipts))
