"""Networks whose visits carry a profile, on phones and on this machine."""

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.errors import ProfileMismatch, RunnerFailed
from device_agent.host.identity import choose_core
from device_agent.loop.agent import registration
from device_agent.phones.connect import reach
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.runners import litert_library
from device_agent.runners.host_profile import methods_of
from device_agent.runners.litert import LiteRtRunner
from netspec.networks import Network
from netspec.operators import PRECISIONS, Classifier, HeadConv, Precision
from netspec.protocol import MeasurementProtocol
from netspec.tflite import encode
from netspec.wire import (
    JobRequest,
    LatencyLookup,
    Lease,
    LeasedTask,
    LookedUpLatencies,
    NetworkSubject,
    OperatorSubject,
)
from tests.integration.device_agent.fake_runner import PROGRAM, FakeBenchmarkModel
from tests.integration.device_agent.models import block
from tests.integration.device_agent.phone_bench import NO_ANCHOR, PhoneBench, phone_bench
from tests.integration.device_agent.processes import Farm
from tests.phones.fake_phone import FakePhone

SHORT = MeasurementProtocol(warmup_ms=0, measure_ms=1, min_runs=5)


#: px at which every layer takes microseconds on fast processors, too: profiles have whole ones
SEEN = 96


def network(precision: Precision = "float32", size: int = 8) -> Network:
    """Layers of its operators: 4, 4, 1 and 2."""
    operators = (
        block(8, precision, size),
        block(8, precision, size),
        HeadConv(input_size=size, in_channels=8, out_channels=32, precision=precision),
        Classifier(input_size=size, in_channels=32, out_channels=10, precision=precision),
    )
    return Network(name="small", operators=operators)


def in_network(phone: PhoneBench, *tasks: LeasedTask) -> None:
    phone.peer.leases.append(
        Lease(
            id="lease-1",
            fence=7,
            target_id=phone.agent.bench.device.identity.id,
            ttl_s=60.0,
            tasks=tasks,
        )
    )


PROFILED = LeasedTask(
    task_id="profiled", subject=NetworkSubject(network=network()), visits=2, method="in_network"
)
PLAIN = LeasedTask(task_id="plain", subject=OperatorSubject(operator=block(16)), visits=2)


@pytest.fixture
def bench(fake_phone: FakePhone, tmp_path: Path) -> Iterator[PhoneBench]:
    with phone_bench(fake_phone, tmp_path) as made:
        device = made.agent.bench.device
        assert isinstance(device, Phone)
        device.learn_methods()
        made.runner.launched.clear()
        yield made


def test_a_phone_profiles_networks_beside_plain_visits(bench: PhoneBench) -> None:
    in_network(bench, PROFILED, PLAIN)
    bench.run()
    assert bench.peer.outcomes() == {"profiled": "done", "plain": "done"}
    for visit in bench.peer.visits:
        assert visit.statistics.p5_us == 500
        if visit.task_id == "plain":
            assert visit.profile is None
        else:
            assert visit.profile is not None
            assert visit.profile.operators_us == (100.0, 100.0, 25.0, 50.0)
            assert (visit.profile.statistic, visit.profile.count) == ("mean", 20)
            assert visit.profile.network_us == 500
            assert "Run Order" in visit.raw
    assert len(bench.runner.launched) == 2 * 2 + 2


def test_the_server_is_told_what_the_runner_can(bench: PhoneBench) -> None:
    told = registration(bench.agent.bench.device, NO_ANCHOR).methods
    assert told == ("isolated", "in_network", "sustained")


def test_a_profile_of_another_graph_fails_the_task_and_says_why(bench: PhoneBench) -> None:
    bench.runner.says = "\n".join(
        (bench.runner._words(), bench.runner._profile(encode(network().operators[:3])), "")
    )
    bench.runner.profiles = False
    in_network(bench, PROFILED, PLAIN)
    bench.run()
    assert bench.peer.outcomes() == {"profiled": "failed", "plain": "done"}
    assert "fewer kernels (9) than the network's layers need (11)" in bench.reasons()[0]


@pytest.mark.parametrize(
    "change", [{"profiles": False}, {"ignores": "--enable_op_profiling=true"}, {"exit_code": 1}]
)
def test_a_runner_that_cannot_profile_is_known_before_it_is_asked(
    fake_phone: FakePhone, tmp_path: Path, change: dict[str, object]
) -> None:
    runner = FakeBenchmarkModel(**change)  # type: ignore[arg-type]
    runner.install(fake_phone)
    phone = Phone(reach(fake_phone.address, "tcp", tmp_path), Choice(PROGRAM), NO_ANCHOR)
    phone.learn_methods()
    assert phone.methods == ("isolated", "sustained")
    assert len(runner.launched) == 1
    phone.close()


def test_a_gpu_is_not_asked_what_its_layers_take(fake_phone: FakePhone, tmp_path: Path) -> None:
    runner = FakeBenchmarkModel()
    runner.install(fake_phone)
    choice = Choice(PROGRAM, delegate="gpu")
    phone = Phone(reach(fake_phone.address, "tcp", tmp_path), choice, NO_ANCHOR)
    phone.learn_methods()
    assert (phone.methods, runner.launched) == (("isolated", "sustained"), [])
    phone.close()


def test_a_task_that_no_runner_here_can_do_fails_without_a_visit(bench: PhoneBench) -> None:
    operator = PLAIN.model_copy(update={"task_id": "operator", "method": "in_network"})
    in_network(bench, operator)
    bench.run()
    assert (bench.peer.outcomes(), bench.peer.visits) == ({"operator": "failed"}, [])
    assert "is neither network nor model" in bench.reasons()[0]


@pytest.fixture
def runner() -> Iterator[LiteRtRunner]:
    made = LiteRtRunner(choose_core(None))
    yield made
    made.close()


@pytest.mark.skipif(sys.platform != "linux", reason="LiteRT's library is called as on Linux")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_this_machine_profiles_what_it_measures(
    runner: LiteRtRunner, tmp_path: Path, precision: Precision
) -> None:
    assert methods_of(runner, SHORT) == ("isolated", "in_network")
    small = network(precision, size=56)
    model = tmp_path / "small.tflite"
    model.write_bytes(encode(small.operators))
    measured = runner.visit(model, SHORT, small.operators)
    profile = measured.profile
    assert profile is not None
    assert len(profile.operators_us) == len(small.operators)
    assert profile.count >= SHORT.min_runs
    assert profile.network_us is not None
    # Both blocks are of one size: a profile that is a kernel off would show it.
    first, second, _, _ = profile.operators_us
    assert 0.4 < first / second < 2.5
    assert 0 < sum(profile.operators_us) <= profile.network_us
    kept = json.loads(measured.raw)["profile"]
    assert len(kept["kinds"]) == len(kept["kernels_p5_us"]) >= 11
    assert runner.visit(model, SHORT).profile is None


def test_another_graph_than_the_operators_is_noticed_here_too(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    model = tmp_path / "small.tflite"
    model.write_bytes(encode(network().operators))
    with pytest.raises(ProfileMismatch, match="more kernels"):
        runner.visit(model, SHORT, network().operators[:3])


def test_without_the_library_there_are_no_profiles(
    runner: LiteRtRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from device_agent.runners import fork_server, litert_library\n"
        "litert_library._LIBRARY = 'libNotThere.so'\n"
        "fork_server.main()\n"
    )
    monkeypatch.setattr("device_agent.runners.forked_runs._FORK_SERVER", ("-P", str(program)))
    assert methods_of(runner, SHORT) == ("isolated",)
    model = tmp_path / "small.tflite"
    model.write_bytes(encode(network().operators))
    with pytest.raises(RunnerFailed, match=r"there is no libNotThere\.so"):
        runner.visit(model, SHORT, network().operators)
    assert runner.visit(model, SHORT).statistics.count >= SHORT.min_runs


def test_a_library_that_counts_kernels_otherwise_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert_library, "_DELEGATE_KERNEL", 1 << 4)
    model = tmp_path / "block.tflite"
    model.write_bytes(encode([block()]))
    with litert_library.ProfiledModel(str(model), [bytes(8 * 8 * 8 * 4)]) as profiled:
        profiled.start()
        profiled.run()
        with pytest.raises(litert_library.LibraryUnusable, match="not numbered in order"):
            profiled.stop()


def test_models_that_were_profiled_leave_no_memory_behind(tmp_path: Path) -> None:
    model = tmp_path / "block.tflite"
    model.write_bytes(encode([block()]))
    taken = []
    for _ in range(6):
        with litert_library.ProfiledModel(str(model), [bytes(8 * 8 * 8 * 4)]) as profiled:
            profiled.run()
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        taken.append(pages * resource.getpagesize())
    assert taken[-1] - taken[0] < 64 * 2**20, "as much as one profiler holds"


def test_a_job_in_networks_becomes_entries_of_operators(farm: Farm) -> None:
    farm.run_agent()  # makes the target known
    with farm.http() as http:
        (device,) = http.request("GET", "/v1/devices").json()
    assert device["methods"] == ["isolated", "in_network", "evaluate", "sustained"]
    (target_id,) = device["target_ids"]
    job = farm.file(
        JobRequest(
            name="inside",
            target_id=target_id,
            networks=(network(size=SEEN),),
            method="in_network",
            rounds=2,
        )
    )
    log = farm.run_agent()
    job = farm.job(job)
    assert (job.state, job.visits_done) == ("done", 2), log
    with farm.http() as http:
        looked = http.request(
            "POST",
            "/v1/latencies:lookup",
            body=LatencyLookup(target_id=target_id, operators=network(size=SEEN).operators),
            idempotent=True,
        )
    answers = LookedUpLatencies.model_validate_json(looked.content).latencies
    assert [one.entry and one.entry.method for one in answers] == ["in_network"] * 4
