import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.errors import DelegateRefused, DeviceNotReady, WrongTarget
from device_agent.loop import attempt
from device_agent.loop.agent import ASK_EVERY_S
from device_agent.measuring.spool import Spool
from device_agent.processes.stop import StopSignal
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.networks import Network
from netspec.wire import LeasedTask, ModelSubject, NetworkSubject, Subject
from tests.unit.device_agent.messages import lease, subject, visit
from tests.unit.device_agent.peer import BACKOFF_S, IDENTITY, Peer, ScriptedRunner, agent_with


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "_HAND_OVER_EVERY_S", 0.001)


def leased(visits: dict[str, int], lease_id: str = "lease-1") -> Peer:
    peer = Peer()
    peer.leases = [lease(visits, lease_id).model_copy(update={"target_id": IDENTITY.id})]
    return peer


def test_a_lease_is_visited_uploaded_and_handed_back(spool: Spool) -> None:
    peer = leased({"a": 3, "b": 1})
    agent_with(peer, ScriptedRunner(), spool, StopSignal()).run(until_idle=True)
    assert Counter(one.task_id for one in peer.visits) == {"a": 3, "b": 1}
    assert sorted(one.round for one in peer.visits if one.task_id == "a") == [0, 1, 2]
    assert {one.device_id for one in peer.visits} == {"device-1"}
    assert {one.target_id for one in peer.visits} == {IDENTITY.id}
    assert peer.outcomes() == {"a": "done", "b": "done"}
    applied = ("affinity none", "clock free", f"runner {IDENTITY.runtime}", "gate open")
    assert {one.before.steps for one in peer.visits} == {applied}
    assert (peer.releases[0].fence, peer.registrations) == (7, 1)
    assert spool.waiting() == 0


def test_a_failed_visit_drops_its_task_alone_and_tells_why(spool: Spool) -> None:
    peer = leased({"a": 3, "b": 3})
    bad: list[Path] = []

    def refuse(_number: int, model: Path) -> None:
        bad[:] = bad or [model]
        if model in bad:
            raise DelegateRefused("XNNPACK took nothing of the graph")

    runner = ScriptedRunner(refuse)
    agent_with(peer, runner, spool, StopSignal()).run(until_idle=True)
    assert runner.visits == 1 + 3
    assert sorted(peer.outcomes().values()) == ["done", "failed"]
    (failed,) = [one for one in peer.releases[0].outcomes if one.state == "failed"]
    assert failed.reason == "XNNPACK took nothing of the graph"


def test_the_delegate_may_leave_a_part_of_an_uploaded_model_alone(spool: Spool) -> None:
    peer = leased({"operator": 2})
    content = b"a model"
    model = ModelSubject(sha256=hashlib.sha256(content).hexdigest(), name="mine")
    peer.models[model.sha256] = content
    task = LeasedTask(task_id="model", subject=model, visits=2)
    network = Network(name="net", operators=(subject().operator,))
    other = LeasedTask(task_id="network", subject=NetworkSubject(network=network), visits=2)
    (work,) = peer.leases
    peer.leases = [work.model_copy(update={"tasks": (*work.tasks, task, other)})]
    runner = ScriptedRunner()
    agent_with(peer, runner, spool, StopSignal()).run(until_idle=True)
    allowed = zip((one.task_id for one in peer.visits), runner.allowed_partial, strict=True)
    assert set(allowed) == {("operator", False), ("network", False), ("model", True)}


def test_a_lost_lease_stops_the_batch_and_keeps_its_visits(spool: Spool) -> None:
    peer = leased({"a": 20_000})
    peer.renew_every_s = 0.01

    def lose(number: int, _model: Path) -> None:
        peer.lost = number >= 5

    runner = ScriptedRunner(lose)
    agent_with(peer, runner, spool, StopSignal()).run(until_idle=True)
    assert 5 <= runner.visits < 20_000
    assert len(peer.visits) == runner.visits
    assert peer.releases == []


def test_leases_that_are_gone_at_once_are_not_asked_for_without_a_pause(spool: Spool) -> None:
    peer = leased({"a": 1})
    peer.leases *= 3
    peer.lost = True
    agent = agent_with(peer, ScriptedRunner(), spool, StopSignal())
    waits: list[float] = []
    agent.bench.stop.wait = waits.append  # type: ignore[method-assign, assignment]
    agent.run(until_idle=True)
    assert waits == [BACKOFF_S] * 3
    assert peer.visits == []


def test_cancelled_tasks_are_dropped(spool: Spool) -> None:
    peer = leased({"a": 20_000, "b": 1})
    peer.renew_every_s = 0.01

    def cancel(number: int, _model: Path) -> None:
        if number == 5:
            peer.cancelled = ("a",)

    runner = ScriptedRunner(cancel)
    agent_with(peer, runner, spool, StopSignal()).run(until_idle=True)
    assert runner.visits < 20_000
    assert peer.outcomes()["a"] == "unfinished"
    assert len(peer.visits) == runner.visits


def test_a_server_that_goes_away_is_waited_for_and_gets_everything(spool: Spool) -> None:
    peer = leased({"a": 5})

    def leave(number: int, _model: Path) -> None:
        peer.away = number >= 2

    runner = ScriptedRunner(leave)
    agent = agent_with(peer, runner, spool, StopSignal())
    waits: list[float] = []

    def come_back(seconds: float) -> None:
        assert seconds > 0
        waits.append(spool.waiting())
        peer.away = len(waits) < 3

    agent.bench.stop.wait = come_back  # type: ignore[method-assign]
    agent.run(until_idle=True)
    assert waits == [5, 5, 5]
    assert len(peer.visits) == 5
    assert peer.outcomes() == {"a": "done"}
    assert peer.registrations == 1


def test_an_agent_registers_again_when_the_lease_ended_while_the_server_was_away(
    spool: Spool,
) -> None:
    peer = leased({"a": 5})
    # Long enough for a busy machine to get to the first visit.
    peer.ttl_s = 0.3

    def leave(_number: int, _model: Path) -> None:
        peer.away = True

    agent = agent_with(peer, ScriptedRunner(leave), spool, StopSignal())

    def wait(seconds: float) -> None:
        time.sleep(seconds)
        if seconds == BACKOFF_S:
            peer.away = False

    agent.bench.stop.wait = wait  # type: ignore[method-assign]
    agent.run(until_idle=True)
    assert peer.registrations == 2
    assert peer.releases == []
    assert len(peer.visits) >= 1
    assert spool.waiting() == 0


def test_the_wish_to_stop_hands_back_what_is_unfinished(spool: Spool) -> None:
    peer = leased({"a": 10, "b": 10})
    stop = StopSignal()

    def ask(number: int, _model: Path) -> None:
        stop.requested = number >= 7

    agent_with(peer, ScriptedRunner(ask), spool, stop).run()
    # The one that had begun behind it is made and kept, too.
    assert len(peer.visits) == 8
    assert peer.outcomes() == {"a": "unfinished", "b": "unfinished"}
    assert spool.waiting() == 0


def test_a_stop_while_models_are_encoded_moves_nothing_to_the_device(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, stop = leased({"a": 1, "b": 1}), StopSignal()
    agent = agent_with(peer, ScriptedRunner(), spool, stop)
    encoded: list[Subject] = []
    path = agent.bench.models.path

    def encode(subject: Subject) -> Path:
        encoded.append(subject)
        stop.requested = True
        return path(subject)

    monkeypatch.setattr(agent.bench.models, "path", encode)
    monkeypatch.setattr(agent.bench.device, "prepare", lambda _: pytest.fail("it was prepared"))
    agent.run()
    assert len(encoded) == 1
    assert peer.outcomes() == {"a": "unfinished", "b": "unfinished"}


def test_stopping_while_the_server_is_away_keeps_the_visits(spool: Spool) -> None:
    peer = leased({"a": 10})
    stop = StopSignal()

    def ask(number: int, _model: Path) -> None:
        peer.away = stop.requested = number >= 7

    agent_with(peer, ScriptedRunner(ask), spool, stop).run()
    assert (len(peer.visits), spool.waiting()) == (0, 8)


@pytest.mark.parametrize(
    ("status", "outcomes"), [(503, ["done"]), (401, ["done"]), (404, ["failed", "done"])]
)
def test_a_model_that_the_server_cannot_hand_out_now_blames_no_task(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, status: int, outcomes: list[str]
) -> None:
    peer = leased({"a": 1})
    peer.leases *= 2
    agent = agent_with(peer, ScriptedRunner(), spool, StopSignal())
    path, refusals = agent.bench.models.path, [ProfilerRefused(status, "unknown", "no")]

    def refuse(subject: Subject) -> Path:
        if refusals:
            raise refusals.pop()
        return path(subject)

    monkeypatch.setattr(agent.bench.models, "path", refuse)
    agent.run(until_idle=True)
    assert [one.state for release in peer.releases for one in release.outcomes] == outcomes


def test_what_an_earlier_process_left_is_uploaded_first(spool: Spool) -> None:
    left = visit()
    spool.append(left)
    peer = Peer()
    agent_with(peer, ScriptedRunner(), spool, StopSignal()).run(until_idle=True)
    assert peer.visits == [left]


def test_a_device_that_is_not_ready_blames_no_task(spool: Spool) -> None:
    peer = leased({"a": 2, "b": 2})

    def broken(number: int, _model: Path) -> None:
        if number == 3:
            raise DeviceNotReady("no runtime")

    agent_with(peer, ScriptedRunner(broken), spool, StopSignal()).run(until_idle=True)
    assert sorted(peer.outcomes().values()) == ["unfinished", "unfinished"]
    assert len(peer.visits) == 2
    assert peer.registrations == 2


def test_until_idle_waits_for_what_rests_after_a_failure(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = leased({"a": 1})
    peer.rests = ["7", "900", "1"]
    agent = agent_with(peer, ScriptedRunner(), spool, StopSignal())
    waits: list[float] = []
    monkeypatch.setattr(agent.bench.stop, "wait", waits.append)
    agent.run(until_idle=True)
    assert waits == [7, ASK_EVERY_S, 1]
    assert peer.outcomes() == {"a": "done"}


def test_a_rest_that_is_no_number_of_seconds_ends_the_wait(spool: Spool) -> None:
    peer = leased({"a": 1})
    peer.rests = ["Wed, 21 Oct 2026 07:28:00 GMT"]
    agent_with(peer, ScriptedRunner(), spool, StopSignal()).run(until_idle=True)
    assert peer.outcomes() == {}


def test_rejected_visits_are_made_again_but_not_for_ever_and_each_is_uploaded_once(
    spool: Spool,
) -> None:
    peer = leased({"a": 3, "b": 1})
    runner = ScriptedRunner(clean_share=0.1)
    agent_with(peer, runner, spool, StopSignal()).run(until_idle=True)
    assert Counter(one.task_id for one in peer.visits) == {"a": 4 * 3 + 2, "b": 4 * 1 + 2}
    assert len({one.id for one in peer.visits}) == len(peer.visits) == runner.visits
    assert all("had the core to themselves" in one.rejected for one in peer.visits)
    assert peer.outcomes() == {"a": "failed", "b": "failed"}
    assert spool.waiting() == 0


def test_a_server_that_is_away_at_the_start_is_an_error(spool: Spool) -> None:
    with pytest.raises(ProfilerUnreachable, match="no profiler answers"):
        agent_with(Peer(away=True), ScriptedRunner(), spool, StopSignal()).run()


def test_another_target_than_ours_is_not_measured(spool: Spool) -> None:
    with pytest.raises(WrongTarget, match="install the same version"):
        agent_with(Peer(target_id="f" * 16), ScriptedRunner(), spool, StopSignal()).run()
    peer = leased({"a": 1})
    peer.leases = [lease({"a": 1})]
    with pytest.raises(WrongTarget):
        agent_with(peer, ScriptedRunner(), spool, StopSignal()).run()
    assert peer.visits == []
