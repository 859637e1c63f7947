"""The client against a real server; the test itself plays the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from netspec.client import (
    AsyncProfilerClient,
    JobFailed,
    NoTable,
    ProfilerClient,
    SnapshotCache,
    UnknownId,
    job_calls,
)
from netspec.console.connection import TOKEN_VARIABLE
from netspec.errors import ProfilerRefused, ProfilerUnreachable, UserError
from netspec.networks import Network
from netspec.operators import MBConv, Operator
from netspec.tflite import encode
from netspec.wire import EventQuery, Job, JobRequest, Lease, TaskOutcome
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api


@dataclass(frozen=True)
class Running:
    """A server with the token of its first start."""

    url: str
    token: str

    @contextmanager
    def client(self, on_poll: Callable[[], None] = lambda: None) -> Iterator[ProfilerClient]:
        with ProfilerClient(self.url, self.token, on_poll=on_poll) as client:
            yield client

    @contextmanager
    def agent(self, model: str) -> Iterator[Agent]:
        with httpx2.Client(base_url=self.url) as http:
            api = Api(http, self.token)
            yield Agent(api, model, api.register(farm.registration(model, model)).id)


@dataclass(frozen=True)
class Agent:
    """Measures what it is told by telling it."""

    api: Api
    model: str
    device: str

    @property
    def target_id(self) -> str:
        return farm.identity(self.model).id

    def job(
        self, operators: Iterable[Operator] = (), *, rounds: int = 2, **more: object
    ) -> JobRequest:
        return farm.job(operators, rounds=rounds, target_id=self.target_id, **more)

    def work(self, **ms: float) -> Lease:
        """Leases all there is and uploads every visit; `ms` by the subject's name."""
        lease = self.api.claim(self.device)
        rounds = lease.tasks[0].visits
        assert set(self.api.upload(farm.visits(lease, self.device, rounds=rounds, ms=ms))) == {
            "stored"
        }
        self.api.release(lease)
        return lease


def _started(server: Server) -> Running:
    return Running(server.url, server.about_token.split()[-1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    # Tests fail a task again and again: none rests in between.
    at_once = {"PROFILER_RETRY_BACKOFF_S": "0"}
    with Server(tmp_path_factory.mktemp("profiler"), variables=at_once) as started:
        yield _started(started)


@pytest.fixture
def agent(server: Running, request: pytest.FixtureRequest) -> Iterator[Agent]:
    """Of a target that no other test has."""
    with server.agent(str(request.node.name)) as made:
        yield made


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_calls, "POLL_S", 0.01)


def test_the_target_is_the_only_one_or_chosen_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as started:
        running = _started(started)
        with running.client() as client:
            with pytest.raises(UnknownId, match=r"no targets yet; start `device-agent run`"):
                client.target(None)
            with running.agent("Pixel 1"):
                first = farm.identity("Pixel 1").id
                assert client.target(None).id == first
                assert client.target(None).identity == farm.identity("Pixel 1")
            with running.agent("Pixel 2"):
                second = farm.identity("Pixel 2").id
                assert {target.id for target in client.targets()} == {first, second}
                assert client.target(second[:8]).id == client.target(second).id == second
                for wished, says in [
                    (None, "several targets; choose by --target"),
                    ("", "2 targets begin"),
                    ("nexus", "no target begins with 'nexus'"),
                ]:
                    with pytest.raises(UnknownId, match=says) as raised:
                        client.target(wished)
                    assert f"{first} (Pixel 1" in str(raised.value)
                    assert f"{second} (Pixel 2" in str(raised.value)


def test_a_job_is_waited_for_and_its_progress_shown(server: Running, agent: Agent) -> None:
    operators = farm.blocks(3)
    seen: list[Job] = []

    def work_once() -> None:
        if not seen:
            agent.work()

    with server.client(work_once) as client:
        filed = client.create_job(agent.job(operators, rounds=2))
        assert (filed.state, filed.tasks, filed.visits, filed.reused) == ("queued", 3, 6, 0)
        done = client.wait(filed, seen.append)
        assert done.state == "done"
        assert (done.visits_done, done.tasks_done) == (6, 3)
        assert seen[-1] == done
        entries = client.entries(done.id)
        assert set(entries) == {operator.content_hash for operator in operators}
        assert {entry.value_ms for entry in entries.values()} == {1.0}

        again = client.create_job(agent.job(operators, rounds=2))
        assert (again.state, again.tasks, again.reused) == ("done", 0, 3)
        assert client.wait(again, seen.append) == again
        assert client.wait(again.id, seen.append) == again


def test_a_job_that_cannot_be_measured_says_why(server: Running, agent: Agent) -> None:
    def fail() -> None:
        lease = agent.api.claim(agent.device)
        (task,) = lease.tasks
        failure = TaskOutcome(task_id=task.task_id, state="failed", reason="XNNPACK took nothing")
        agent.api.release(lease, [failure])

    (operator,) = farm.blocks(1)
    with server.client(fail) as client:
        job = client.create_job(agent.job([operator]))
        with pytest.raises(JobFailed) as raised:
            client.wait(job, lambda _: None)
    assert str(raised.value) == (
        f"job 'job' ({job.id}) ended failed with 1 of 1 tasks failed; first: {operator.key}: "
        "XNNPACK took nothing"
    )


def test_a_job_that_somebody_cancels_is_not_waited_for(server: Running, agent: Agent) -> None:
    def cancel() -> None:
        agent.api.call("POST", f"/v1/jobs/{job.id}:cancel")

    with server.client(cancel) as client:
        job = client.create_job(agent.job(farm.blocks(1)))
        with pytest.raises(JobFailed, match="ended cancelled"):
            client.wait(job, lambda _: None)


def test_ctrl_c_cancels_the_job_that_is_waited_for(server: Running, agent: Agent) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with server.client(interrupt) as client:
        job = client.create_job(agent.job(farm.blocks(1)))
        with pytest.raises(KeyboardInterrupt):
            client.wait(job, lambda _: None)
        assert client.job(job.id).state == "cancelled"


def test_ctrl_c_leaves_a_job_that_has_just_finished(server: Running, agent: Agent) -> None:
    def work_and_interrupt() -> None:
        agent.work()
        raise KeyboardInterrupt

    with server.client(work_and_interrupt) as client:
        job = client.create_job(agent.job(farm.blocks(1)))
        with pytest.raises(KeyboardInterrupt):
            client.wait(job, lambda _: None)
        assert client.job(job.id).state == "done"


def test_a_companion_that_died_ends_the_wait(server: Running, agent: Agent) -> None:
    def check() -> None:
        raise UserError("device-agent ended")

    with server.client(check) as client:
        job = client.create_job(agent.job(farm.blocks(1)))
        with pytest.raises(UserError, match="device-agent ended"):
            client.wait(job, lambda _: None)


def test_a_table_is_calibrated_on_chosen_networks_and_published(
    server: Running, agent: Agent
) -> None:
    networks: tuple[Network, ...] = (farm.network([1], "short"), farm.network([1, 2], "long"))
    operators = tuple(dict.fromkeys(one for network in networks for one in network.operators))
    with server.client() as client:
        with pytest.raises(NoTable, match=r"`search-client profile`.*--profile-missing"):
            client.latest_snapshot(agent.target_id)
        client.create_job(agent.job(operators, networks=networks))
        # Sums are 4 and 5 ms.
        agent.work(short=4.8, long=7.5)
        snapshot = client.publish(agent.target_id, [networks[0].content_hash])
        assert client.latest_snapshot(agent.target_id) == snapshot
        assert client.publish(agent.target_id, [networks[0].content_hash]).id == snapshot.id
        assert set(snapshot.values_ms) == {operator.key for operator in operators}
        (fitted,) = snapshot.calibrations
        assert fitted.scale == pytest.approx(1.2)
        on_all = client.publish(agent.target_id)
        assert [network.name for network in on_all.calibrations[0].networks] == ["long", "short"]


class Recording(httpx2.HTTPTransport):
    """Sockets, with the statuses that came over them."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[int] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = super().handle_request(request)
        self.statuses.append(answer.status_code)
        return answer


def test_a_table_that_is_on_disk_is_not_sent_again(
    server: Running, agent: Agent, tmp_path: Path
) -> None:
    with server.client() as client:
        client.create_job(agent.job(farm.blocks(2)))
        agent.work()
        published = client.publish(agent.target_id)
    sent = Recording()
    kept = SnapshotCache(tmp_path)
    with ProfilerClient(server.url, server.token, transport=sent, cache=kept) as client:
        assert client.latest_snapshot(agent.target_id) == published
        assert client.latest_snapshot(agent.target_id) == published
        assert client.snapshot(published.id) == published
    assert sent.statuses == [200, 304]


def test_the_client_for_event_loops_asks_the_same_server(server: Running, agent: Agent) -> None:
    operators = farm.blocks(2)
    leases: list[Lease] = []

    def work_once() -> None:
        if not leases:
            leases.append(agent.work())

    async def measured() -> None:
        async with AsyncProfilerClient(server.url, server.token, on_poll=work_once) as client:
            job = await client.wait(await client.create_job(agent.job(operators)))
            entries, target, events = await asyncio.gather(
                client.entries(job.id),
                client.target(agent.target_id),
                client.events(EventQuery(job_id=job.id)),
            )
            assert set(entries) == {operator.content_hash for operator in operators}
            assert target.entries == 2
            assert {event.job_id for event in events} == {job.id}
            assert (await client.jobs())[0] == job
            assert agent.device in {device.id for device in await client.devices()}
            found = await client.latencies(agent.target_id, operators)
            assert [one.state for one in found.latencies] == ["stale", "stale"]
            subject = operators[0].content_hash
            detail = await client.entry(agent.target_id, subject)
            assert detail.entry == entries[subject]
            assert len(await client.visits(agent.target_id, subject)) == 2

    asyncio.run(measured())


def test_an_uploaded_model_can_be_measured(server: Running, agent: Agent) -> None:
    model = encode([MBConv(input_size=8, in_channels=8, out_channels=8, expand=3, residual=True)])
    with server.client() as client:
        subject = client.upload_model(model, "mine")
        assert client.upload_model(model, "mine") == subject
        job = client.create_job(agent.job(models=(subject,)))
        agent.work(mine=2.5)
        assert client.entries(job.id)[subject.sha256].value_ms == 2.5
        with pytest.raises(ProfilerRefused) as raised:
            client.upload_model(b"no model", "mine")
        assert raised.value.kind == "not-a-model"


def test_a_wrong_token_and_a_server_that_is_not_there(server: Running) -> None:
    with (
        ProfilerClient(server.url, "wrong") as client,
        pytest.raises(ProfilerRefused, match=TOKEN_VARIABLE),
    ):
        client.targets()
    with (
        ProfilerClient("http://127.0.0.1:9", server.token, retry_pauses_s=()) as client,
        pytest.raises(ProfilerUnreachable, match="no profiler"),
    ):
        client.targets()
