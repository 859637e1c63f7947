"""Isolated entries: what the accepted visits of a subject by itself say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce

from sqlalchemy.orm import Session

from netspec.statistics import Estimate, estimate_each
from netspec.wire import ISOLATED, Entry
from profiler_server.entries import share_repository as repository
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.entries.share_repository import SamplesByDevice
from profiler_server.entries.shares import DeviceSamples, Samples
from profiler_server.kit.sql.bulk import Row


def extend(session: Session, target_id: str, new: Samples) -> None:
    """Brings the entries of a target's subjects up to date with samples of new visits.

    Args:
        session: a writing transaction that holds the target's lock and has stored the visits.
        target_id: what they are true for.
        new: the samples of the new visits alone.
    """
    stored = repository.shares(session, target_id, new)
    in_entries = repository.visits_in_entries(session, target_id, new)
    # Derived by an older version, which kept no shares: those are made of all visits.
    without_shares = [
        subject_hash
        for subject_hash, visits in in_entries.items()
        if sum(share.visits for share in stored.get(subject_hash, {}).values()) != visits
    ]
    derive(session, target_id, without_shares)
    changed = {
        subject_hash: {
            device_id: _joined(
                stored.get(subject_hash, {}).get(device_id), DeviceSamples.of(samples)
            )
            for device_id, samples in of_subject.items()
        }
        for subject_hash, of_subject in new.items()
        if subject_hash not in without_shares
    }
    whole = {one: {**stored.get(one, {}), **shares} for one, shares in changed.items()}
    _put(session, target_id, whole, changed)


def derive(session: Session, target_id: str, subject_hashes: Collection[str]) -> None:
    """Derives the subjects' entries from their visits."""
    if subject_hashes:
        samples = repository.samples(session, target_id, subject_hashes)
        whole = {
            subject_hash: {
                device_id: DeviceSamples.of(own) for device_id, own in of_subject.items()
            }
            for subject_hash, of_subject in samples.items()
        }
        _put(session, target_id, whole, whole)


def _joined(stored: DeviceSamples | None, new: DeviceSamples) -> DeviceSamples:
    return new if stored is None else stored.joined(new)


def _put(
    session: Session, target_id: str, whole: SamplesByDevice, changed: SamplesByDevice
) -> None:
    """Stores entries of whole subjects, and of their shares those that have changed."""
    estimates = _of_devices(whole)
    put = [(subject, device) for subject, shares in changed.items() for device in shares]
    repository.put_shares(
        session,
        [
            {
                "target_id": target_id,
                "subject_hash": subject,
                "device_id": device,
                "p5_us": changed[subject][device].dump(),
                **_columns(estimates[subject, device], changed[subject][device]),
            }
            for subject, device in put
        ],
    )
    repository.put_entries(session, target_id, _rows(target_id, whole, estimates))


def isolated_rows(session: Session, target_id: str, subject_hashes: Collection[str]) -> list[Row]:
    """Rows of the isolated entries of those of the subjects that were visited by themselves."""
    whole = repository.shares(session, target_id, subject_hashes)
    return _rows(target_id, whole, _of_devices(whole))


def _of_devices(whole: SamplesByDevice) -> dict[tuple[str, str], Estimate]:
    """What each device says of each subject."""
    every = [(subject, device) for subject, shares in whole.items() for device in shares]
    own = estimate_each([whole[subject][device].p5_us for subject, device in every])
    return dict(zip(every, own, strict=True))


def _rows(
    target_id: str, whole: SamplesByDevice, estimates: Mapping[tuple[str, str], Estimate]
) -> list[Row]:
    totals = {
        subject: reduce(DeviceSamples.joined, shares.values()) for subject, shares in whole.items()
    }
    # The entry of a single device is its own estimate.
    shared = [subject for subject, shares in whole.items() if len(shares) > 1]
    of_shared = dict(zip(shared, estimate_each([totals[one].p5_us for one in shared]), strict=True))
    rows = []
    for subject, shares in whole.items():
        of_devices = [estimates[subject, device] for device in shares]
        row: Row = {
            "target_id": target_id,
            "subject_hash": subject,
            "method": ISOLATED,
            "fitted_from": None,
            "devices": len(shares),
            "disagreement_percent": disagreement_percent(of_devices),
            **_columns(of_shared.get(subject, of_devices[0]), totals[subject]),
        }
        rows.append(row)
    return rows


def _columns(estimate: Estimate, share: DeviceSamples) -> Row:
    return {
        "value_ms": estimate.value_ms,
        "low_ms": estimate.low_ms,
        "high_ms": estimate.high_ms,
        "visits": estimate.visits,
        "measured_at": share.measured_at,
    }


def disagreement_percent(of_devices: Collection[Estimate]) -> float | None:
    """By how much the highest of several devices' estimates exceeds the lowest.

    None for a single device, and where the lowest is 0 ms.
    """
    values = [one.value_ms for one in of_devices]
    if len(values) < 2 or min(values) == 0:  # noqa: PLR2004 - one device agrees with itself
        return None
    return 100 * (max(values) / min(values) - 1)


def to_wire(found: EntryOfSubject) -> Entry:
    """The message of a stored entry."""
    row, subject = found
    return Entry.model_validate(
        {
            "subject_hash": subject.hash,
            "kind": subject.kind,
            "name": subject.name,
            "precision": subject.precision,
            "method": row.method,
            "value_ms": row.value_ms,
            "low_ms": row.low_ms,
            "high_ms": row.high_ms,
            "visits": row.visits,
            "measured_at": row.measured_at,
            "devices": row.devices,
            "disagreement_percent": row.disagreement_percent,
            "fitted_from": row.fitted_from,
        }
    )
