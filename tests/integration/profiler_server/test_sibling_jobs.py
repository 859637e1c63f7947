"""A new target gets its table from a sibling's and a few visits that the server chooses."""

from __future__ import annotations

import pytest

from netspec.networks import Network
from netspec.operators import Operator
from netspec.spaces import Space
from netspec.wire import (
    Job,
    NetworkSubject,
    OperatorSubject,
    PublishRequest,
    Snapshot,
    TaskOutcome,
)
from profiler_server.latency_model.features import work
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read

SPACE = Space(input_size=32, width=0.25, classes=10)
OPERATORS = SPACE.operators()
NETWORKS = tuple(
    SPACE.network([index % block.choices for block in SPACE.blocks], f"net{index}")
    for index in range(6)
)
SOURCE, TARGET = farm.identity("Pixel 1").id, farm.identity("Pixel 1 XL").id


def took_ms(operator: Operator) -> float:
    return 0.05 + work(operator).macs / 1e5


def network_ms(network: Network) -> float:
    return 1.05 * sum(map(took_ms, network.operators))


def work_off(api: Api, device: str, times: float) -> list[str]:
    """Measures what waits, everything `times` as long as on the source; the kinds of subjects."""
    lease = api.claim(device)
    took = {}
    for task in lease.tasks:
        subject = task.subject
        if isinstance(subject, OperatorSubject):
            took[subject.name] = times * took_ms(subject.operator)
        elif isinstance(subject, NetworkSubject):
            took[subject.name] = times * network_ms(subject.network)
    api.upload(farm.visits(lease, device, rounds=lease.tasks[0].visits, ms=took))
    api.release(lease)
    return [task.subject.kind for task in lease.tasks]


@pytest.fixture
def sibling(api: Api) -> Api:
    """The source has everything."""
    device = api.register(farm.registration()).id
    api.file(farm.job(OPERATORS, networks=NETWORKS, rounds=4))
    work_off(api, device, 1.0)
    return api


def ask(api: Api, **more: object) -> Job:
    transfer = {"source_target_id": SOURCE, **more}
    return api.file(farm.job(target_id=TARGET, rounds=4, transfer=transfer))


def test_ten_visits_make_a_table_and_a_budget_makes_it_surer(sibling: Api) -> None:
    device = sibling.register(farm.registration("XL", "Pixel 1 XL")).id
    job = ask(sibling, budget=10, enough_percent=0.001)
    assert (job.tasks, job.table_error_percent) == (10, None)
    first = work_off(sibling, device, 1.5)
    assert (first.count("network"), first.count("operator")) == (6, 4)
    # The rest is filled in, and at once what leaves the most doubt is measured: 8, then 2.
    steps = []
    while sibling.job(job.id).state == "running":
        steps.append(work_off(sibling, device, 1.5))
    assert [len(step) for step in steps] == [8, 2]
    done = sibling.job(job.id)
    assert (done.state, done.tasks) == ("done", 20)
    assert done.table_error_percent is not None
    assert 0 < done.table_error_percent < 5
    path = f"/v1/targets/{TARGET}/snapshots"
    snapshot = read(Snapshot, sibling.call("POST", path, PublishRequest(), status=201))
    assert len(snapshot.entries) == len(OPERATORS)
    fitted = [one for one in snapshot.entries if one.method == "fitted"]
    assert len(fitted) == len(OPERATORS) - 14
    assert {one.fitted_from for one in fitted} == {SOURCE}
    by_key = {one.key: one for one in OPERATORS}
    for one in fitted:
        assert one.value_ms == pytest.approx(1.5 * took_ms(by_key[one.name]), rel=0.05)
        assert one.low_ms <= 1.5 * took_ms(by_key[one.name]) <= one.high_ms
    (calibration,) = snapshot.calibrations
    assert len(calibration.networks) == 6


def test_a_table_that_is_sure_enough_spends_no_budget(sibling: Api) -> None:
    device = sibling.register(farm.registration("XL", "Pixel 1 XL")).id
    job = ask(sibling, budget=50, enough_percent=20)
    work_off(sibling, device, 1.5)
    assert (sibling.job(job.id).state, sibling.job(job.id).tasks) == ("done", 10)


def test_a_job_that_cannot_be_is_refused(api: Api, sibling: Api) -> None:
    sibling.register(farm.registration("XL", "Pixel 1 XL"))
    body: dict[str, object]
    body = {"name": "job", "target_id": SOURCE, "transfer": {"source_target_id": SOURCE}}
    assert "is the source itself" in api.problem(
        "POST", "/v1/jobs", body, status=409, kind="not-transferable"
    )
    body = {"name": "job", "target_id": SOURCE, "transfer": {"source_target_id": TARGET}}
    assert "has no table to transfer" in api.problem(
        "POST", "/v1/jobs", body, status=409, kind="not-transferable"
    )
    body = {
        "name": "job",
        "target_id": TARGET,
        "budget": 5,
        "transfer": {"source_target_id": SOURCE},
    }
    assert "the server chooses what to measure" in api.problem(
        "POST", "/v1/jobs", body, status=422, kind="invalid-request"
    )


def test_what_failed_is_done_without(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    source = api.register(farm.registration()).id
    api.file(farm.job(OPERATORS, networks=NETWORKS, rounds=2))
    work_off(api, source, 1.0)
    device = api.register(farm.registration("XL", "Pixel 1 XL")).id
    job = ask(api)
    for _ in range(3):
        lease = api.claim(device)
        failed = [TaskOutcome(task_id=one.task_id, state="failed") for one in lease.tasks]
        api.release(lease, failed)
    assert (api.job(job.id).state, api.job(job.id).table_error_percent) == ("failed", None)
