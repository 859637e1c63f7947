"""Clients that others' generators make of `docs/openapi.json`: without a warning, and they work.

The generators come from the package registries, each into an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from netspec.console.connection import DATA_DIR_VARIABLE
from netspec.console.tokens import load_token
from netspec.statistics import VisitStatistics
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.process import Server

pytestmark = pytest.mark.nightly
DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
GENERATOR = "openapi-python-client==0.29.1"
TYPESCRIPT = ("openapi-typescript@7.13.0", "typescript@5.9.3")

FLOW = """
import datetime, json, sys, uuid
from pathlib import Path

from generated import AuthenticatedClient
from generated.api.devices import get_device, register_device
from generated.api.jobs import create_job, get_job
from generated.api.leases import claim_lease, release_lease
from generated.api.measurements import get_entry, upload_visits
from generated.models import (
    Conditions, Device, DeviceRegistration, EntryDetail, Job, JobRequest, Lease, LeaseRelease,
    LeaseRequest, Visit, VisitBatch, VisitStatistics,
)

given = json.loads(Path(sys.argv[1]).read_text())
client = AuthenticatedClient(base_url=given["url"], token=given["token"])
registered = register_device.sync(
    client=client, body=DeviceRegistration.from_dict(given["registration"])
)
device = get_device.sync(registered.id, client=client)
assert isinstance(device, Device) and device.labels.to_dict() == {"rack": "2"}, device
job = create_job.sync(client=client, body=JobRequest.from_dict(given["job"]))
assert isinstance(job, Job), job
lease = claim_lease.sync(client=client, body=LeaseRequest(device_id=device.id))
assert isinstance(lease, Lease), lease
(task,) = lease.tasks
visits = [
    Visit(
        id=uuid.uuid4(),
        task_id=task.task_id,
        lease_id=lease.id,
        device_id=device.id,
        target_id=lease.target_id,
        subject_hash=given["subject_hash"],
        round_=0,
        started_at=datetime.datetime.now(datetime.timezone.utc),
        statistics=VisitStatistics.from_dict(given["statistics"]),
        before=Conditions(),
        after=Conditions(),
        raw="",
    )
]
receipts = upload_visits.sync(client=client, body=VisitBatch(visits=visits))
assert [receipt.state for receipt in receipts.receipts] == ["stored"], receipts
release = LeaseRelease(fence=lease.fence, outcomes=[])
released = release_lease.sync_detailed(lease.id, client=client, body=release)
assert released.status_code == 204, released
assert get_job.sync(job.id, client=client).state == "done"
entry = get_entry.sync(lease.target_id, given["subject_hash"], client=client)
assert isinstance(entry, EntryDetail), entry
print(entry.entry.value_ms)
"""

#: what may be left out of a request is left out; what answers always have is there
USE = """
import type { components } from "./schema";
type Schemas = components["schemas"];
export const job: Schemas["JobRequest"] = { name: "x", target_id: "0123456789abcdef" };
export const lease: Schemas["LeaseRequest"] = { device_id: "device_x" };
export function named(device: Schemas["Device"]): string { return device.id + device.serial; }
"""


def run(*command: str | Path, folder: Path) -> str:
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(folder)}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def python_with(folder: Path, package: str) -> Path:
    """A Python with a package from the registry."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    run(programs / "pip", "install", "--quiet", package, folder=folder)
    return programs / "python"


def generate(python: Path, folder: Path) -> str:
    """Makes the package `generated` in the folder; what the generator says."""
    # The generator formats what it has made with what it finds beside it.
    programs = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    command = ["env", f"PATH={programs}", str(python.parent / "openapi-python-client"), "generate"]
    command += ["--path", str(DOCUMENT), "--output-path", str(folder / "generated")]
    return run(*command, "--meta", "none", "--fail-on-warning", folder=folder)


def flow(python: Path, folder: Path) -> float:
    """A device's way from its registration to an entry, by the generated package alone; ms."""
    with Server(folder / "data") as server:
        token = load_token(server.url)
        (operator,) = farm.blocks(1)
        registration = farm.registration().model_copy(update={"labels": {"rack": "2"}})
        given = {
            "url": server.url,
            "token": token,
            "registration": registration.model_dump(mode="json"),
            "job": farm.job([operator], rounds=1).model_dump(mode="json"),
            "subject_hash": operator.content_hash,
            "statistics": VisitStatistics.of(np.full(5, 2_000.0)).model_dump(mode="json"),
        }
        (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
        (folder / "flow.py").write_text(FLOW, encoding="utf-8")
        return float(run(python, "flow.py", "given.json", folder=folder))


def test_the_generated_python_client_does_a_whole_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "data"))
    python = python_with(tmp_path / "environment", GENERATOR)
    said = generate(python, tmp_path)
    assert "arning" not in said, said
    assert flow(python, tmp_path) == pytest.approx(2.0)


def test_the_generated_types_of_typescript_leave_out_what_may_be_left_out(tmp_path: Path) -> None:
    run("npm", "install", "--silent", *TYPESCRIPT, folder=tmp_path)
    programs = tmp_path / "node_modules" / ".bin"
    said = run(programs / "openapi-typescript", DOCUMENT, "--output", "schema.ts", folder=tmp_path)
    assert "warn" not in said.lower(), said
    (tmp_path / "use.ts").write_text(USE, encoding="utf-8")
    run(programs / "tsc", "--strict", "--noEmit", "use.ts", folder=tmp_path)
