"""Users' own models, of which the delegate may leave a part to other kernels."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.errors import DelegateRefused
from device_agent.host.identity import choose_core
from device_agent.phones.phone import Phone
from device_agent.runners import forked_runs
from device_agent.runners.litert import LiteRtRunner
from netspec.launches import read_launch
from netspec.protocol import MeasurementProtocol
from netspec.tflite import encode
from netspec.wire import Lease, LeasedTask, ModelSubject, TaskMethod, Visit
from tests.integration.device_agent.models import (
    block,
    block_file,
    two_inputs_and_outputs,
    undelegated_bytes,
)
from tests.integration.device_agent.phone_bench import PhoneBench, phone_bench
from tests.phones.fake_phone import FakePhone

SHORT = MeasurementProtocol(warmup_ms=0, measure_ms=1, min_runs=5)
LEFT = "LOCAL_RESPONSE_NORMALIZATION"


@pytest.fixture(scope="module")
def runner() -> Iterator[LiteRtRunner]:
    made = LiteRtRunner(choose_core(None))
    yield made
    made.close()


def test_a_part_is_measured_and_what_is_left_is_named(runner: LiteRtRunner, tmp_path: Path) -> None:
    model = tmp_path / "partly.tflite"
    model.write_bytes(undelegated_bytes(partly=True))
    measured = runner.visit(model, SHORT, (), allow_partial=True)
    assert measured.statistics.count >= SHORT.min_runs
    launch = read_launch(measured.raw)
    assert (launch.delegation, launch.operators, launch.delegated) == ("partial", 2, 1)
    assert sum(launch.undelegated.values()) == 1
    assert next(iter(launch.undelegated)) in LEFT
    assert measured.profile is not None
    assert any("Add" in kernel for kernel in measured.profile.kernels)
    assert any(kernel in LEFT for kernel in measured.profile.kernels)


def test_nothing_is_no_part(runner: LiteRtRunner, tmp_path: Path) -> None:
    model = tmp_path / "none.tflite"
    model.write_bytes(undelegated_bytes(partly=False))
    with pytest.raises(DelegateRefused, match="took nothing"):
        runner.visit(model, SHORT, allow_partial=True)


def test_a_model_of_two_inputs_and_outputs_is_profiled(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    model = tmp_path / "two.tflite"
    model.write_bytes(two_inputs_and_outputs())
    measured = runner.visit(model, SHORT, (), allow_partial=True)
    assert read_launch(measured.raw).delegation == "full"
    assert measured.profile is not None
    assert len(measured.profile.kernels) == 2


def test_a_model_that_cannot_be_profiled_has_a_latency_and_says_why(
    runner: LiteRtRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_agent.runners.kernels.MAX_PROFILED", 3)
    measured = runner.visit(block_file(tmp_path), SHORT, (), allow_partial=True)
    assert measured.profile is None
    assert read_launch(measured.raw).no_profile == (
        "the profile shows 4 kernels, and a visit carries at most 3"
    )


def test_a_library_that_does_not_profile_takes_no_latency_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from device_agent.runners import fork_server, litert_library\n"
        "litert_library._LIBRARY = 'libNotThere.so'\n"
        "fork_server.main()\n"
    )
    monkeypatch.setattr(forked_runs, "_FORK_SERVER", ("-P", str(program)))
    without = LiteRtRunner(choose_core(None))
    measured = without.visit(block_file(tmp_path), SHORT, (), allow_partial=True)
    without.close()
    assert measured.profile is None
    assert "there is no libNotThere.so" in read_launch(measured.raw).no_profile


@pytest.fixture
def bench(fake_phone: FakePhone, tmp_path: Path) -> Iterator[PhoneBench]:
    with phone_bench(fake_phone, tmp_path) as made:
        device = made.agent.bench.device
        assert isinstance(device, Phone)
        device.learn_methods()
        yield made


def measured_on(bench: PhoneBench, method: TaskMethod) -> list[Visit]:
    content = encode([block()])
    model = ModelSubject(sha256=hashlib.sha256(content).hexdigest(), name="mine")
    bench.peer.models[model.sha256] = content
    task = LeasedTask(task_id="mine", subject=model, visits=2, method=method)
    target_id = bench.agent.bench.device.identity.id
    bench.peer.leases = [Lease(id="l", fence=7, target_id=target_id, ttl_s=60.0, tasks=(task,))]
    bench.run()
    return bench.peer.visits


def test_a_phone_measures_a_part_and_a_profile_names_the_rest(bench: PhoneBench) -> None:
    bench.runner.undelegated = ("DEPTHWISE_CONV_2D",)
    visits = measured_on(bench, "in_network")
    assert len(visits) == 2
    launch = read_launch(visits[0].raw)
    assert (launch.delegation, launch.undelegated) == ("partial", {"DEPTHWISE_CONV_2D": 1})
    assert launch.load_ms == 0.9
    assert visits[0].profile is not None
    assert visits[0].profile.kernels[1] == "DEPTHWISE_CONV_2D"


def test_without_a_profile_a_phone_tells_how_many_operators_are_left(bench: PhoneBench) -> None:
    bench.runner.undelegated = ("DEPTHWISE_CONV_2D",)
    bench.runner.chatter = (
        "INFO: Replacing 3 out of 4 node(s) with delegate (TfLiteXNNPackDelegate) node\n"
    )
    visits = measured_on(bench, "isolated")
    launch = read_launch(visits[0].raw)
    assert (launch.delegation, launch.operators, launch.delegated) == ("partial", 4, 3)
    assert launch.undelegated == {}


def test_a_phone_that_gives_no_profile_gives_a_latency(bench: PhoneBench) -> None:
    bench.runner.profiles = False
    visits = measured_on(bench, "in_network")
    assert [visit.profile for visit in visits] == [None, None]
    assert "printed no profile" in read_launch(visits[0].raw).no_profile


def test_an_operator_stays_refused_on_a_phone(bench: PhoneBench) -> None:
    bench.runner.undelegated = ("DEPTHWISE_CONV_2D",)
    bench.lease({"a": 2})
    bench.run()
    assert bench.peer.visits == []
    assert "XNNPACK took only a part of the graph" in bench.reasons()[0]
