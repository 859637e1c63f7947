"""Storing what windows of energy counted, and what follows from it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from netspec.wire import ENERGY, EnergyEstimate, EnergySubject, EnergyUnclear, EnergyUpload
from profiler_server.devices import repository as devices
from profiler_server.energies import repository
from profiler_server.entries import derived_repository as entries
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.leases.outputs import complete, require_leased
from profiler_server.subjects.repository import ensure_subjects


def store(session: Session, task_id: str, upload: EnergyUpload, token_id: str | None) -> bool:
    """Stores a task's measurement, and closes the task; False if there was one, which stays.

    Args:
        session: a writing transaction.
        task_id: the task.
        upload: as its agent sends it; what the windows come to is found here anew.
        token_id: of the agent.

    Raises:
        Problem: `outputs-without-lease`, or `unclear-energy`: the windows tell none.
    """
    try:
        estimate = EnergyEstimate.of(upload.rounds, upload.last_idle)
    except EnergyUnclear as error:
        raise Problem("unclear-energy", str(error)) from error
    task = require_leased(session, task_id, upload.lease_id, ENERGY, "a measurement of energy")
    subject = EnergySubject.model_validate_json(task.document).subject
    devices.lock_targets(session, {task.target_id})
    ensure_subjects(session, [subject])
    row = {
        "task_id": task_id,
        "lease_id": upload.lease_id,
        "token_id": token_id,
        "device_id": task.device_id,
        "target_id": task.target_id,
        "subject_hash": subject.content_hash,
        "stored_at": database_now(session),
        "meter": upload.meter.name,
        "estimate": estimate.model_dump_json(),
        "windows": upload.model_dump_json(),
        "retraction_id": None,
    }
    if not repository.add(session, row):
        return False
    repository.derive(session, task.target_id, subject.content_hash)
    entries.refresh_energies(session, task.target_id)
    complete(session, task)
    return True
