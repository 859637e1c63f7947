"""Whatever goes wrong with phones ends in the right state, says why, and loses nothing."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from device_agent.errors import DeviceNotReady, Unauthorised
from device_agent.phones import stretch
from device_agent.transports import transport_to
from tests.integration.device_agent.phone_bench import WITH_ANCHOR, PhoneBench, phone_bench
from tests.phones.agent_files import JOURNAL
from tests.phones.fake_phone import FakePhone
from tests.phones.shell_io import Call


@pytest.fixture
def bench(fake_phone: FakePhone, tmp_path: Path) -> Iterator[PhoneBench]:
    with phone_bench(fake_phone, tmp_path) as made:
        yield made


@pytest.fixture
def anchored(fake_phone: FakePhone, tmp_path: Path) -> Iterator[PhoneBench]:
    with phone_bench(fake_phone, tmp_path, WITH_ANCHOR) as made:
        yield made


def journal(phone: FakePhone) -> bool:
    return phone.files.find(str(JOURNAL)) is not None


def test_a_lease_is_visited_uploaded_and_the_clock_given_back(bench: PhoneBench) -> None:
    held: list[bool] = []
    bench.runner.before.append(lambda _: held.append(bench.phone.state.fixed_performance))
    bench.lease({"a": 3, "b": 2})
    bench.run()
    assert Counter(one.task_id for one in bench.peer.visits) == {"a": 3, "b": 2}
    assert bench.peer.outcomes() == {"a": "done", "b": "done"}
    assert all(held)
    assert not bench.phone.state.fixed_performance
    assert not journal(bench.phone)
    (one, *_) = bench.peer.visits
    assert {"affinity 80", "clock fixed_performance", "gate open"} <= set(one.before.steps)
    assert (one.statistics.p5_us, one.before.cpu_mhz) == (500, 2840)
    pushed = [call for call in bench.phone.calls if call[:1] == ["chmod"] and "644" in call]
    assert len(pushed) == 2


def test_a_nul_in_what_a_phone_prints_can_be_stored_anywhere(bench: PhoneBench) -> None:
    bench.runner.chatter = "vendor\0log\n"
    bench.lease({"a": 1})
    bench.run()
    assert r"vendor\x00log" in bench.peer.visits[0].raw
    bench.runner.exit_code, bench.runner.says = 1, "no\0model"
    bench.lease({"a": 1}, "lease-2")
    bench.run()
    (reason,) = bench.reasons()
    assert reason.endswith(r"it said: vendor\x00log no\x00model")


def test_models_are_pushed_once_for_all_leases(bench: PhoneBench) -> None:
    bench.lease({"a": 1})
    bench.lease({"a": 1}, "lease-2")
    bench.run()
    assert len(bench.peer.visits) == 2
    pushed = [call for call in bench.phone.calls if call[:1] == ["chmod"] and "644" in call]
    assert len(pushed) == 1


def test_heat_hands_the_work_back_until_the_phone_is_cool(bench: PhoneBench) -> None:
    bench.phone.heat_up()
    bench.lease({"a": 2})
    bench.lease({"a": 2}, "lease-2")
    waits: list[float] = []

    def cool(seconds: float) -> None:
        waits.append(seconds)
        bench.phone.cool_down()

    bench.stop.wait = cool  # type: ignore[method-assign]
    bench.run()
    assert len(waits) == 1
    assert bench.runner.launched
    assert len(bench.peer.visits) == 2
    assert [release.outcomes[0].state for release in bench.peer.releases] == ["unfinished", "done"]


def test_power_lost_in_the_middle_costs_the_visit_in_flight(bench: PhoneBench) -> None:
    def fail(number: int) -> None:
        if number == 4:
            threading.Thread(target=bench.phone.lose_power).start()
            time.sleep(0.02)

    bench.runner.before.append(fail)
    bench.lease({"a": 10})
    bench.lease({"a": 7}, "lease-2")
    back = threading.Timer(1.5, bench.phone.power_on)
    back.start()
    bench.run()
    back.join()
    # The phone was away for longer than the agent's patience, so the first lease was handed back;
    # what the script had written was fetched when the phone was back.
    made = len(bench.runner.launched) - 7
    assert made >= 4
    assert len(bench.peer.visits) - 7 in (made - 1, made)
    states = [release.outcomes[0].state for release in bench.peer.releases]
    assert states == ["unfinished", "done"]
    assert not journal(bench.phone)


def test_a_restart_in_the_middle_costs_the_visit_in_flight(bench: PhoneBench) -> None:
    bench.runner.before.append(lambda number: bench.phone.reboot(0.1) if number == 4 else None)
    bench.lease({"a": 10})
    bench.lease({"a": 1}, "lease-2")
    bench.run()
    first = bench.peer.releases[0].outcomes[0]
    assert first.state == "unfinished"
    made = int(first.reason.split()[0])
    assert 3 <= made < 10
    assert len(bench.peer.visits) == made + 1
    assert not bench.phone.state.fixed_performance


def test_a_connection_cut_in_a_push_is_made_again(bench: PhoneBench) -> None:
    bench.phone.drop_after(2_000)
    bench.lease({"a": 2})
    bench.lease({"a": 2}, "lease-2")
    bench.run()
    states = [release.outcomes[0].state for release in bench.peer.releases]
    assert states == ["unfinished", "done"]
    assert len(bench.peer.visits) == 2
    left = bench.phone.files.matches("/data/local/tmp/proxyless-farm/models/.*.part")
    assert len(left) <= 1


def test_garbage_in_the_middle_loses_no_visit(bench: PhoneBench) -> None:
    bench.runner.before.append(
        lambda number: bench.phone.answer_garbage(3) if number == 4 else None
    )
    bench.lease({"a": 10})
    bench.run()
    assert bench.peer.outcomes() == {"a": "done"}
    assert len(bench.peer.visits) == 10
    assert len(bench.runner.launched) == 10


def test_a_frozen_connection_loses_no_visit(
    bench: PhoneBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretch, "QUICK_S", 0.3)

    def freeze(number: int) -> None:
        if number == 4:
            bench.phone.freeze()
            threading.Timer(0.6, bench.phone.thaw).start()

    bench.runner.before.append(freeze)
    bench.lease({"a": 10})
    bench.run()
    assert bench.peer.outcomes() == {"a": "done"}
    assert len(bench.runner.launched) == 10


def test_a_full_disk_is_said_and_blames_no_task(bench: PhoneBench) -> None:
    bench.phone.fill_disk()
    bench.lease({"a": 1})
    waits: list[float] = []

    def free(seconds: float) -> None:
        waits.append(seconds)
        bench.phone.files.capacity = 2**30
        bench.lease({"a": 1}, "lease-2")

    bench.stop.wait = free  # type: ignore[method-assign]
    bench.run()
    assert len(waits) == 1
    assert [one.outcomes[0].state for one in bench.peer.releases] == ["unfinished", "done"]


def test_a_phone_that_cannot_run_scripts_by_itself_blames_no_task(bench: PhoneBench) -> None:
    del bench.phone.programs["setsid"]
    bench.lease({"a": 1})
    waits: list[float] = []
    bench.stop.wait = waits.append  # type: ignore[method-assign, assignment]
    with capture_logs() as said:
        bench.run()
    assert bench.peer.outcomes() == {"a": "unfinished"}
    assert len(waits) == 1
    assert any("`setsid`" in str(line.get("why")) for line in said)


def test_a_refused_key_says_what_to_press(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.refuse_key()
    transport = transport_to(fake_phone.address, "tcp", tmp_path)
    with pytest.raises(Unauthorised, match="Allow USB debugging"):
        transport.reconnect()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ignores": "--use_nnapi=false"}, "ignored the flag --use_nnapi=false"),
        ({"delegated": False}, "XNNPACK took nothing of the graph"),
        ({"says": "Segmentation fault", "exit_code": 139}, "crashed with SIGSEGV (exit code 139)"),
        (
            {
                "says": "ERROR: NN API returned error ANEURALNETWORKS_OP_FAILED at line 9",
                "exit_code": 1,
            },
            "does not take the graph; it said: ERROR: NN API returned error",
        ),
        ({"says": "count=5 curr=7(all same)\n"}, "it said: count=5 curr=7(all same)"),
    ],
)
def test_a_runner_that_gives_no_number_fails_the_task_and_says_why(
    bench: PhoneBench, change: dict[str, object], says: str
) -> None:
    for name, value in change.items():
        setattr(bench.runner, name, value)
    bench.lease({"a": 3})
    bench.run()
    assert bench.peer.visits == []
    assert bench.peer.outcomes() == {"a": "failed"}
    (reason,) = bench.reasons()
    assert says in reason
    assert "\n" not in reason


def hangs(
    bench: PhoneBench, monkeypatch: pytest.MonkeyPatch, chosen: Callable[[str], bool]
) -> None:
    """The runner never ends with models that are chosen by name."""
    monkeypatch.setattr(bench.agent.bench.device._scripts, "_visit_timeout_s", 0.3)  # type: ignore[attr-defined]
    bench.phone.pace = 1.0
    bench.phone.files.capacity = 2**40

    async def run(call: Call) -> int:
        if chosen(call.args[0]):
            await call.phone.pass_time(30)
        return await bench.runner(call)

    bench.phone.programs["benchmark_model"] = run


def test_a_visit_that_hangs_is_ended_and_fails_its_task_alone(
    bench: PhoneBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[str] = []

    def first(graph: str) -> bool:
        graphs.append(graph)
        return graph == graphs[0]

    hangs(bench, monkeypatch, first)
    bench.lease({"a": 2, "b": 2})
    began = time.monotonic()
    bench.run()
    assert time.monotonic() - began < 10
    assert sorted(bench.peer.outcomes().values()) == ["done", "failed"]
    assert bench.reasons() == ["the visit took longer than 0.3 s and was stopped"]
    assert len(bench.peer.visits) == 2
    assert graphs.count(graphs[0]) == 1
    assert bench.phone.processes.pids() == []


def test_an_anchor_that_hangs_blames_no_task(
    anchored: PhoneBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs(anchored, monkeypatch, lambda _: True)
    anchored.lease({"a": 2})
    anchored.run()
    assert anchored.peer.outcomes() == {"a": "unfinished"}
    assert anchored.peer.visits == []


def test_a_stop_ends_the_script_with_its_visit(bench: PhoneBench) -> None:
    def stop(number: int) -> None:
        if number == 4:
            bench.stop.requested = True
        time.sleep(0.02)

    bench.runner.before.append(stop)
    bench.lease({"a": 100})
    bench.run()
    assert 4 <= len(bench.runner.launched) < 60
    assert len(bench.peer.visits) == len(bench.runner.launched)
    assert bench.peer.releases[0].outcomes[0].state == "unfinished"
    assert not bench.phone.state.fixed_performance


def test_a_cancelled_job_ends_the_script(bench: PhoneBench) -> None:
    bench.peer.renew_every_s = 0.02

    def cancel(number: int) -> None:
        bench.peer.cancelled = ("a",) if number >= 4 else ()
        time.sleep(0.02)

    bench.runner.before.append(cancel)
    bench.lease({"a": 200})
    bench.run()
    assert 4 <= len(bench.peer.visits) < 120


def test_visits_beside_a_slow_anchor_are_kept_but_rejected(anchored: PhoneBench) -> None:
    slow_from, slow_to = 7, 14

    def pace(number: int) -> None:
        anchored.runner.us = 540 if slow_from <= number < slow_to else 500

    anchored.runner.before.append(pace)
    anchored.lease({"a": 6, "b": 6})
    anchored.run()
    rejected = [one for one in anchored.peer.visits if one.rejected]
    accepted = Counter(one.task_id for one in anchored.peer.visits if not one.rejected)
    assert accepted == {"a": 6, "b": 6}
    assert anchored.peer.outcomes() == {"a": "done", "b": "done"}
    assert rejected
    assert all("anchor" in one.rejected for one in rejected)
    assert all(one.statistics.p5_us == 500 for one in anchored.peer.visits if not one.rejected)


@pytest.mark.parametrize("server_takes_it", [True, False])
def test_an_anchor_far_too_slow_twice_is_quarantine(
    anchored: PhoneBench, server_takes_it: bool
) -> None:
    anchored.peer.keeps_out_of_quarantine = not server_takes_it
    waits: list[float] = []

    def pace(number: int) -> None:
        anchored.runner.us = 600 if number > 8 and not anchored.peer.releases else 500

    anchored.runner.before.append(pace)
    anchored.stop.wait = waits.append  # type: ignore[method-assign, assignment]
    anchored.lease({"a": 20})
    anchored.lease({"a": 5}, "lease-2")
    anchored.run()
    assert waits == ([] if server_takes_it else [anchored.agent.quarantine_s])
    assert len(anchored.peer.quarantines) == server_takes_it
    assert all("1.20 times its reference" in reason for reason in anchored.peer.quarantines)
    assert [one.outcomes[0].state for one in anchored.peer.releases] == ["unfinished", "done"]
    assert not any(one.statistics.p5_us == 600 and not one.rejected for one in anchored.peer.visits)


def test_what_a_killed_agent_left_is_put_right_by_the_next(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with phone_bench(fake_phone, tmp_path) as killed:
        killed.agent.bench.device.prepare([])
        assert fake_phone.state.fixed_performance
        assert journal(fake_phone)
    with phone_bench(fake_phone, tmp_path):
        assert not fake_phone.state.fixed_performance
        assert not journal(fake_phone)


def test_a_rooted_phones_clock_is_locked_and_given_back(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.state.root = True
    path = "/sys/devices/system/cpu/cpu7/cpufreq/scaling_min_freq"
    with phone_bench(fake_phone, tmp_path) as made:
        assert made.agent.bench.device.identity.clock_policy == "locked"
        made.agent.bench.device.prepare([])
        assert fake_phone.state.files()[path].strip() == "2840000"
        made.agent.bench.device.rest()
        assert fake_phone.state.files()[path].strip() == "300000"


def test_a_clock_that_is_not_given_back_is_said_and_stays_in_the_journal(
    fake_phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_phone.state.root = True
    fake_phone.state.clusters = (((0, 1), 2_000_000),)
    stuck, writable = "/sys/devices/system/cpu/cpu1/", fake_phone.files.check_writable

    def check(path: str) -> None:
        writable(path)
        if path.startswith(stuck):
            raise PermissionError(1, "Operation not permitted", path)

    with phone_bench(fake_phone, tmp_path) as made:
        made.agent.bench.device.prepare([])
        with monkeypatch.context() as patch:
            patch.setattr(fake_phone.files, "check_writable", check)
            with pytest.raises(DeviceNotReady, match="does not take its settings back"):
                made.agent.bench.device.rest()
        assert journal(fake_phone)
        low = fake_phone.state.files()
        assert low["/sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq"].strip() == "300000"
    with phone_bench(fake_phone, tmp_path):
        assert not journal(fake_phone)


def test_a_phone_that_stays_away_is_said(bench: PhoneBench) -> None:
    bench.phone.lose_power()
    with pytest.raises(DeviceNotReady):
        bench.agent.bench.device.wake()
