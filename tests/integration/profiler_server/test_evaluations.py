"""Images beside models, jobs that run them, and what comes of each piece."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update

from netspec.images import pack
from netspec.wire import (
    MAX_IMAGES_BYTES,
    DeviceRegistration,
    Evaluation,
    EvaluationSubject,
    Job,
    JobRequest,
    Lease,
    LeasedTask,
    PieceOutputs,
)
from profiler_server.auth.scopes import Scope
from profiler_server.evaluations.rows import EvaluationRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read

MakeToken = Callable[..., str]
MODEL = b"\x1c\0\0\0TFL3" + bytes(100)
CLASSES = 7


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def images(number: int, count: int) -> bytes:
    return pack(np.full((count, 2, 2, 3), number, np.uint8))


def registration(serial: str = "S1") -> DeviceRegistration:
    made = farm.registration(serial)
    return made.model_copy(update={"methods": ("isolated", "evaluate")})


def request(counts: Sequence[int] = (3, 2)) -> JobRequest:
    pieces = [
        {"images": digest(images(number, count)), "labels": list(range(count))}
        for number, count in enumerate(counts)
    ]
    return JobRequest.model_validate(
        {
            "name": "evaluate",
            "target_id": farm.identity().id,
            "rounds": 1,
            "evaluation": {
                "model": {"sha256": digest(MODEL), "name": "m.tflite"},
                "pieces": pieces,
            },
        }
    )


def upload(api: Api, counts: Sequence[int] = (3, 2)) -> None:
    api.call("PUT", f"/v1/models/{digest(MODEL)}", MODEL, status=201)
    for number, count in enumerate(counts):
        content = images(number, count)
        api.call("PUT", f"/v1/images/{digest(content)}", content, status=201)


def labels_of(task: LeasedTask) -> tuple[int, ...]:
    assert isinstance(task.subject, EvaluationSubject)
    return task.subject.piece.labels


def outputs(lease: Lease, logits: np.ndarray, **more: Any) -> PieceOutputs:
    return PieceOutputs.model_construct(
        lease_id=lease.id, classes=logits.shape[1], logits=logits.astype("<f4").tobytes(), **more
    )


def right(task: LeasedTask) -> np.ndarray:
    """Logits that name the true class, the first output being as great for the first image."""
    logits = np.zeros((len(labels_of(task)), CLASSES), np.float32)
    logits[np.arange(len(logits)), labels_of(task)] = 1.5
    return logits


def put(api: Api, task: LeasedTask, sent: PieceOutputs, *, status: int = 201) -> None:
    api.call("PUT", f"/v1/tasks/{task.task_id}/outputs", sent, status=status)


def filed(api: Api, counts: Sequence[int] = (3, 2)) -> tuple[Job, str]:
    device = api.register(registration()).id
    upload(api, counts)
    return api.file(request(counts)), device


def test_a_job_runs_an_image_set_piece_by_piece(api: Api, database: Database) -> None:
    job, device = filed(api)
    assert (job.tasks, job.visits) == (2, 2)
    lease = api.claim(device)
    first, second = lease.tasks
    assert (first.method, first.visits, first.subject.name) == (
        "evaluate",
        1,
        "m.tflite, images 0 to 2",
    )
    assert second.subject.name == "m.tflite, images 3 to 4"
    path = f"/v1/jobs/{job.id}"
    none = read(Evaluation, api.call("GET", f"{path}/evaluation"))
    assert (none.images, none.images_done, none.top1) == (5, 0, None)

    put(api, first, outputs(lease, right(first), load_ms=2.0, peak_memory_mib=8.0))
    put(api, first, outputs(lease, right(first)), status=204)
    wrong = -right(second) - np.arange(CLASSES)
    put(api, second, outputs(lease, wrong, load_ms=4.0, peak_memory_mib=9.5))
    assert api.job(job.id).state == "done"
    api.release(lease)
    found = read(Evaluation, api.call("GET", f"{path}/evaluation"))
    assert (found.images, found.images_done) == (5, 5)
    assert (found.top1, found.top5) == (0.6, 0.8 + 0.2)
    assert (found.load_ms, found.peak_memory_mib) == (3.0, 9.5)
    # No visit is made of it, so no table has it.
    assert api.entries(job.id) == []

    pieces = api.call("GET", f"{path}/outputs?limit=1")
    (piece,) = pieces.json()
    assert (piece["piece"], piece["first"], piece["labels"]) == (0, 0, [0, 1, 2])
    assert [best[0] for best in piece["top"]] == [{"output": one, "value": 1.5} for one in range(3)]
    assert len(piece["top"][0]) == 5
    (rest,) = api.call("GET", pieces.headers["Link"].split(">")[0][1:]).json()
    assert (rest["piece"], rest["first"]) == (1, 3)
    logits = np.load(io.BytesIO(api.call("GET", f"{path}/outputs/1").content))
    assert np.array_equal(logits, wrong.astype(np.float32))
    api.problem("GET", f"{path}/outputs/2", status=404, kind="no-evaluation")
    api.call("DELETE", path, status=204)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(EvaluationRow)) == 0


def test_a_lost_lease_loses_only_what_was_not_sent(api: Api) -> None:
    job, device = filed(api, (2, 2, 2))
    lost = api.claim(device)
    put(api, lost.tasks[1], outputs(lost, right(lost.tasks[1])))
    # The agent starts again and claims: its lease before is over.
    lease = api.claim(device)
    assert [task.task_id for task in lease.tasks] == [
        lost.tasks[0].task_id,
        lost.tasks[2].task_id,
    ]
    # What the first attempt still sends is taken; the second attempt's is not needed any more.
    put(api, lost.tasks[0], outputs(lost, right(lost.tasks[0])))
    put(api, lost.tasks[0], outputs(lease, right(lost.tasks[0])), status=204)
    put(api, lease.tasks[1], outputs(lease, right(lease.tasks[1])))
    assert api.job(job.id).state == "done"
    found = read(Evaluation, api.call("GET", f"/v1/jobs/{job.id}/evaluation"))
    assert (found.images_done, found.top1) == (6, 1.0)


def test_only_a_lease_of_its_own_covers_a_piece(api: Api, make_token: MakeToken) -> None:
    _, device = filed(api)
    lease = api.claim(device)
    task = lease.tasks[0]
    path = f"/v1/tasks/{task.task_id}/outputs"
    good = outputs(lease, right(task))
    stranger = Api(api.http, make_token(Scope.AGENT))
    stranger.problem("PUT", path, good, status=403, kind="foreign-device")
    other = good.model_copy(update={"lease_id": "lease_0"})
    api.problem("PUT", path, other, status=422, kind="outputs-without-lease")
    api.problem("PUT", "/v1/tasks/x/outputs", good, status=422, kind="outputs-without-lease")
    # A lease that does not name the task, of the same device.
    api.release(lease)
    api.file(farm.job(farm.blocks(1), priority=5))
    measuring = api.claim(device, max_tasks=1)
    under_it = good.model_copy(update={"lease_id": measuring.id})
    api.problem("PUT", path, under_it, status=422, kind="outputs-without-lease")
    put(api, task, good)


def test_outputs_must_fit_their_images(api: Api) -> None:
    _, device = filed(api)
    lease = api.claim(device)
    task = lease.tasks[0]
    path = f"/v1/tasks/{task.task_id}/outputs"
    for logits in (right(task)[:2], np.full((3, CLASSES), np.nan)):
        api.problem("PUT", path, outputs(lease, logits), status=422, kind="outputs-misfit")
    text = {"lease_id": lease.id, "classes": 7, "logits": "a"}
    api.problem("PUT", path, text, status=422, kind="invalid-request")


def test_visits_count_for_no_evaluation(api: Api) -> None:
    job, device = filed(api)
    lease = api.claim(device)
    assert set(api.upload(farm.visits(lease, device, rounds=1))) == {"unknown"}
    assert api.job(job.id).visits_done == 0


def test_failures_give_a_piece_up_and_a_retry_brings_it_back(api: Api, database: Database) -> None:
    job, device = filed(api, (2,))
    outcome = {"state": "failed", "reason": "the runner has no such flag"}
    for _ in range(3):
        lease = api.claim(device)
        failed = {
            "fence": lease.fence,
            "outcomes": [{**outcome, "task_id": lease.tasks[0].task_id}],
        }
        api.call("POST", f"/v1/leases/{lease.id}:release", failed, status=204)
        api.call("POST", f"/v1/devices/{device}:release")
        if api.job(job.id).state != "failed":
            _make_ready(database)
    assert api.job(job.id).failures[0].reason == outcome["reason"]
    api.call("POST", f"/v1/jobs/{job.id}:retry")
    lease = api.claim(device)
    put(api, lease.tasks[0], outputs(lease, right(lease.tasks[0])))
    assert api.job(job.id).state == "done"


def _make_ready(database: Database) -> None:
    """Ends the rests of tasks."""
    with database.write() as session:
        session.execute(update(TaskRow).values(retry_at=None))


def test_only_devices_that_run_images_get_them(api: Api) -> None:
    device = api.register(farm.registration()).id
    upload(api)
    said = api.problem("POST", "/v1/jobs", request(), status=422, kind="method-not-supported")
    assert "TensorFlow 2.10" in said
    able = api.register(registration("S2")).id
    api.file(request())
    api.no_work(device)
    assert len(api.claim(able).tasks) == 2


def test_files_that_are_not_there_are_named(api: Api) -> None:
    api.register(registration())
    said = api.problem("POST", "/v1/jobs", request(), status=404, kind="unknown-images")
    assert digest(images(0, 3)) in said
    for number, count in enumerate((3, 2)):
        content = images(number, count)
        api.call("PUT", f"/v1/images/{digest(content)}", content, status=201)
    api.problem("POST", "/v1/jobs", request(), status=404, kind="unknown-model")


@pytest.mark.parametrize(
    "changed", [{"rounds": 2}, {"target_id": None, "select": {}}, {"method": "in_network"}]
)
def test_an_evaluation_is_a_job_of_its_own(api: Api, changed: dict[str, object]) -> None:
    body = {**request().model_dump(mode="json", exclude_unset=True), **changed}
    api.problem("POST", "/v1/jobs", body, status=422, kind="invalid-request")


def test_no_other_job_has_the_method(api: Api) -> None:
    body = {**farm.job(farm.blocks(1)).model_dump(mode="json"), "method": "evaluate"}
    api.problem("POST", "/v1/jobs", body, status=422, kind="invalid-request")


def test_images_are_stored_once_within_bounds(make_api: MakeApi, make_token: MakeToken) -> None:
    api = make_api(models_per_token=2)
    owner = Api(api.http, make_token(Scope.JOBS_WRITE))
    stranger = Api(api.http, make_token(Scope.JOBS_WRITE))
    content = images(1, 2)
    path = f"/v1/images/{digest(content)}"
    owner.call("PUT", path, content, status=201)
    stranger.call("PUT", path, content, status=204)
    assert api.call("GET", path).content == content
    seen = {"If-None-Match": f'"{digest(content)}"'}
    assert api.call("GET", path, headers=seen, status=304).content == b""
    # Images are no models, and the other way round; both take of one quota.
    api.problem("GET", path.replace("images", "models"), status=404, kind="unknown-model")
    assert api.call("GET", "/v1/models").json() == []
    assert [one["sha256"] for one in api.call("GET", "/v1/images").json()] == [digest(content)]
    owner.call("PUT", f"/v1/models/{digest(MODEL)}", MODEL, status=201)
    more = images(2, 2)
    owner.problem("PUT", f"/v1/images/{digest(more)}", more, status=409, kind="too-many-models")
    owner.problem("PUT", f"/v1/images/{digest(MODEL)}", MODEL, status=422, kind="not-images")
    owner.problem("PUT", path, more, status=422, kind="hash-mismatch")
    large = bytes(MAX_IMAGES_BYTES + 1)
    owner.problem("PUT", path, large, status=413, kind="body-too-large")
    stranger.problem("DELETE", path, status=403, kind="not-the-owner")
    owner.call("DELETE", path, status=204)
    owner.problem("DELETE", path, status=404, kind="unknown-images")


def test_what_an_open_evaluation_needs_stays(api: Api) -> None:
    job, _ = filed(api)
    needed = (f"/v1/images/{digest(images(1, 2))}", f"/v1/models/{digest(MODEL)}")
    for path in needed:
        api.problem("DELETE", path, status=409, kind="model-in-use")
    api.call("POST", f"/v1/jobs/{job.id}:cancel")
    for path in needed:
        api.call("DELETE", path, status=204)


def test_scopes(api: Api, make_token: MakeToken) -> None:
    job, device = filed(api)
    agent = Api(api.http, make_token(Scope.AGENT))
    for path in (f"/v1/jobs/{job.id}/evaluation", f"/v1/jobs/{job.id}/outputs"):
        agent.problem("GET", path, status=403, kind="missing-scope")
    lease = api.claim(device)
    writer = Api(api.http, make_token(Scope.JOBS_WRITE))
    body = outputs(lease, right(lease.tasks[0]))
    path = f"/v1/tasks/{lease.tasks[0].task_id}/outputs"
    writer.problem("PUT", path, body, status=403, kind="missing-scope")
