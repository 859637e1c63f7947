"""Isolated entries: what the accepted visits of a subject by itself say."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.orm import Session

from netspec.statistics import Estimate, estimate_each
from netspec.wire import ISOLATED, EnergyValue, Entry
from profiler_server.entries import derived_repository as repository
from profiler_server.entries.consensus import consensus
from profiler_server.entries.derived_repository import SamplesByDevice
from profiler_server.entries.device_samples import (
    TYPICAL_COLUMNS,
    DeviceSamples,
    Samples,
    typical,
)
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.kit.sql.bulk import Row


def extend(session: Session, target_id: str, new: Samples) -> None:
    """Brings the entries of a target's subjects up to date with samples of new visits.

    Args:
        session: a writing transaction that holds the target's lock and has stored the visits.
        target_id: what they are true for.
        new: the samples of the new visits alone.
    """
    stored = repository.device_samples(session, target_id, new)
    in_entries = repository.visits_in_entries(session, target_id, new)
    # Derived by an older version, which kept no or fewer samples: those are made of all visits.
    without_samples = [
        subject_hash
        for subject_hash, visits in in_entries.items()
        if not _made_of(visits, stored.get(subject_hash, {}).values())
    ]
    derive(session, target_id, without_samples)
    changed = {
        subject_hash: {
            device_id: _joined(
                stored.get(subject_hash, {}).get(device_id), DeviceSamples.of(samples)
            )
            for device_id, samples in by_device.items()
        }
        for subject_hash, by_device in new.items()
        if subject_hash not in without_samples
    }
    by_subject = {one: {**stored.get(one, {}), **by_device} for one, by_device in changed.items()}
    _put(session, target_id, by_subject, changed)


def derive(session: Session, target_id: str, subject_hashes: Collection[str]) -> None:
    """Derives the subjects' entries from their visits."""
    if subject_hashes:
        samples = repository.samples(session, target_id, subject_hashes)
        by_subject = {
            subject_hash: {
                device_id: DeviceSamples.of(samples) for device_id, samples in by_device.items()
            }
            for subject_hash, by_device in samples.items()
        }
        _put(session, target_id, by_subject, by_subject)


def _made_of(visits: int, samples: Collection[DeviceSamples]) -> bool:
    return sum(one.visits for one in samples) == visits and all(
        one.tells_spreads for one in samples
    )


def _joined(stored: DeviceSamples | None, new: DeviceSamples) -> DeviceSamples:
    return new if stored is None else stored.joined(new)


def _put(
    session: Session, target_id: str, by_subject: SamplesByDevice, changed: SamplesByDevice
) -> None:
    """Stores entries of whole subjects, and of their devices' samples those that have changed."""
    estimates = _device_estimates(by_subject)
    put = [(subject, device) for subject, by_device in changed.items() for device in by_device]
    repository.put_device_samples(
        session,
        [
            {
                "target_id": target_id,
                "subject_hash": subject,
                "device_id": device,
                **changed[subject][device].dump(),
                "value_ms": (own := estimates[subject, device]).value_ms,
                "low_ms": own.low_ms,
                "high_ms": own.high_ms,
                "visits": own.visits,
                "measured_at": changed[subject][device].measured_at,
            }
            for subject, device in put
        ],
    )
    repository.put_entries(session, target_id, _rows(target_id, by_subject, estimates))


def isolated_rows(session: Session, target_id: str, subject_hashes: Collection[str]) -> list[Row]:
    """Rows of the isolated entries of those of the subjects that were visited by themselves."""
    by_subject = repository.device_samples(session, target_id, subject_hashes)
    return _rows(target_id, by_subject, _device_estimates(by_subject))


def _device_estimates(by_subject: SamplesByDevice) -> dict[tuple[str, str], Estimate]:
    """What each device says of each subject."""
    every = [(subject, device) for subject, by_device in by_subject.items() for device in by_device]
    samples = estimate_each([by_subject[subject][device].p5_us for subject, device in every])
    return dict(zip(every, samples, strict=True))


def _rows(
    target_id: str, by_subject: SamplesByDevice, estimates: Mapping[tuple[str, str], Estimate]
) -> list[Row]:
    rows = []
    for subject, by_device in by_subject.items():
        device_estimates = [estimates[subject, device] for device in sorted(by_device)]
        found = consensus(device_estimates)
        row: Row = {
            "target_id": target_id,
            "subject_hash": subject,
            "method": ISOLATED,
            "fitted_from": None,
            "value_ms": found.value_ms,
            "low_ms": found.low_ms,
            "high_ms": found.high_ms,
            "visits": sum(estimate.visits for estimate in device_estimates),
            "measured_at": max(samples.measured_at for samples in by_device.values()),
            "devices": len(by_device),
            "disagreement_percent": disagreement_percent(device_estimates),
            "held_back": not found.holds,
            **typical(by_device.values()),
        }
        rows.append(row)
    return rows


def disagreement_percent(device_estimates: Collection[Estimate]) -> float | None:
    """By how much the highest of several devices' estimates exceeds the lowest.

    None for a single device, and where the lowest is 0 ms.
    """
    values = [estimate.value_ms for estimate in device_estimates]
    if len(values) < 2 or min(values) == 0:  # noqa: PLR2004 - one device agrees with itself
        return None
    return 100 * (max(values) / min(values) - 1)


def to_wire(entry: EntryOfSubject) -> Entry:
    """The message of a stored entry."""
    row, subject = entry
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
            "held_back": row.held_back,
            **{name: getattr(row, name) for name in TYPICAL_COLUMNS},
            "energy": row.energy and EnergyValue.model_validate_json(row.energy),
        }
    )
