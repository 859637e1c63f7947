import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from device_agent.errors import (
    DelegateRefused,
    DeviceNotReady,
    ModelRefused,
    RunnerFailed,
    VisitTimedOut,
)
from device_agent.host.identity import choose_core
from device_agent.runners.fork_server import _Stages
from device_agent.runners.litert import LiteRtRunner
from netspec.operators import PRECISIONS, Precision
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from tests.integration.device_agent.models import block_file, undelegated_bytes
from tests.waiting import wait_for

Found = TypeVar("Found")

SHORT = MeasurementProtocol(warmup_ms=0, measure_ms=1, min_runs=5)
LONG = MeasurementProtocol(warmup_ms=0, measure_ms=30_000, min_runs=10_000, max_runs=100_000)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def runner() -> Iterator[LiteRtRunner]:
    made = LiteRtRunner(choose_core(None))
    yield made
    made.close()


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def visiting(runner: LiteRtRunner) -> list[int]:
    """Children that make a visit: the next one waits for its order, not yet pinned."""
    pinned = {choose_core(None)}
    children = children_of(server_pid(runner))
    return [one for one in children if os.sched_getaffinity(one) == pinned and not _has_ended(one)]


def server_pid(runner: LiteRtRunner) -> int:
    assert runner._forked._server is not None
    return runner._forked._server._process.pid


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_visit_measures_an_operator(
    runner: LiteRtRunner, tmp_path: Path, precision: Precision
) -> None:
    protocol = MeasurementProtocol(warmup_ms=1, measure_ms=2, min_runs=20)
    measured = runner.visit(block_file(tmp_path, precision), protocol)
    seen = json.loads(measured.raw)
    assert seen["delegation"] == "full"
    assert 0 < seen["peak_memory_bytes"] < 64 * 2**20
    assert seen["warmup_runs"] >= 2
    assert len(seen["runs_ns"]) >= 20
    assert seen["warmup_ns"] >= 1e6
    assert sum(seen["runs_ns"]) >= 2e6
    assert measured.statistics == VisitStatistics.of(np.array(seen["runs_ns"]) / 1000)


def test_the_number_of_runs_keeps_to_the_protocol(runner: LiteRtRunner, tmp_path: Path) -> None:
    model = block_file(tmp_path)
    most = MeasurementProtocol(warmup_ms=0, measure_ms=1_000, min_runs=1, max_runs=7)
    assert runner.visit(model, most).statistics.count == 7
    least = MeasurementProtocol(warmup_ms=0, measure_ms=0.001, min_runs=9)
    assert runner.visit(model, least).statistics.count == 9


def test_long_raw_output_is_cut_and_says_so(
    runner: LiteRtRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_agent.runners.litert._MAX_RAW", 4_096)
    many = MeasurementProtocol(warmup_ms=0, measure_ms=0.001, min_runs=2_000)
    measured = runner.visit(block_file(tmp_path), many)
    assert measured.statistics.count == 2_000
    assert len(measured.raw) <= 4_096
    visit = json.loads(measured.raw)
    assert visit["runs_ns_cut_to"] == len(visit["runs_ns"]) < 2_000


@linux_only
def test_a_visit_is_a_pinned_process_that_ends_with_the_fork_server(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    runner.visit(block_file(tmp_path), SHORT)
    wait_for(lambda: not visiting(runner))
    thread = threading.Thread(target=lambda: _ignore_failure(runner, tmp_path))
    thread.start()
    (child,) = wait_for(lambda: visiting(runner))
    waiting = [one for one in children_of(server_pid(runner)) if not _has_ended(one)]
    os.kill(server_pid(runner), signal.SIGKILL)
    thread.join()
    wait_for(lambda: all(_has_ended(one) for one in (child, *waiting)))


def _ignore_failure(runner: LiteRtRunner, folder: Path) -> None:
    with pytest.raises(RunnerFailed):
        runner.visit(block_file(folder), LONG)


@linux_only
def test_the_fork_server_has_one_thread_and_no_socket(runner: LiteRtRunner, tmp_path: Path) -> None:
    with socket.socket() as ours:
        ours.set_inheritable(True)
        runner.visit(block_file(tmp_path), SHORT)
        process = Path(f"/proc/{server_pid(runner)}")
        opened = [str(link.readlink()) for link in (process / "fd").iterdir()]
        assert opened
        assert not [name for name in opened if name.startswith("socket:")]
        assert len(list((process / "task").iterdir())) == 1


def test_a_corrupt_model_is_refused_and_the_next_visit_works(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    corrupt = tmp_path / "corrupt.tflite"
    corrupt.write_bytes(b"no model at all")
    with pytest.raises(ModelRefused, match="LiteRT refused the model"):
        runner.visit(corrupt, SHORT)
    with pytest.raises(ModelRefused):
        runner.visit(tmp_path / "missing.tflite", SHORT)
    assert runner.visit(block_file(tmp_path), SHORT).statistics.count >= 5


@pytest.mark.parametrize(("partly", "says"), [(False, "took nothing"), (True, "only a part")])
def test_a_graph_that_the_delegate_leaves_is_no_number(
    runner: LiteRtRunner, tmp_path: Path, partly: bool, says: str
) -> None:
    model = tmp_path / "sine.tflite"
    model.write_bytes(undelegated_bytes(partly=partly))
    with pytest.raises(DelegateRefused, match=rf"{says}.* left LOCAL_RESPONSE_NORM"):
        runner.visit(model, SHORT)


@linux_only
def test_a_killed_child_is_named_and_the_next_visit_works(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    model = block_file(tmp_path)
    runner.visit(model, SHORT)
    # Its memory is still taken down when its result is there.
    wait_for(lambda: not visiting(runner))

    def kill_child() -> None:
        (child,) = wait_for(lambda: visiting(runner))
        os.kill(child, signal.SIGSEGV)

    killer = threading.Thread(target=kill_child)
    killer.start()
    with pytest.raises(RunnerFailed, match="killed by SIGSEGV"):
        runner.visit(model, LONG)
    killer.join()
    assert runner.visit(model, SHORT).statistics.count >= 5


@linux_only
def test_a_child_that_died_while_it_waited_is_named_and_the_next_visit_works(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    model = block_file(tmp_path)
    runner.visit(model, SHORT)
    wait_for(lambda: not visiting(runner))
    (waiting,) = (one for one in children_of(server_pid(runner)) if not _has_ended(one))
    os.kill(waiting, signal.SIGKILL)
    wait_for(lambda: _has_ended(waiting))
    with pytest.raises(RunnerFailed, match="killed by SIGKILL"):
        runner.visit(model, SHORT)
    assert runner.visit(model, SHORT).statistics.count >= 5


def test_a_dead_fork_server_is_replaced(runner: LiteRtRunner, tmp_path: Path) -> None:
    model = block_file(tmp_path)
    runner.visit(model, SHORT)
    os.kill(server_pid(runner), signal.SIGKILL)
    with pytest.raises(RunnerFailed, match="fork server ended with code -9"):
        runner.visit(model, SHORT)
    assert runner.visit(model, SHORT).statistics.count >= 5


def test_a_visit_may_be_begun_ahead_and_is_made_in_its_turn(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    models = [block_file(tmp_path, size=size) for size in (8, 16)]
    for model in models:
        runner.begin(model, SHORT)
    seen = [json.loads(runner.finish().raw) for _ in models]
    assert [one["order"]["model"] for one in seen] == [str(model) for model in models]


@linux_only
def test_a_fork_server_that_dies_takes_the_visit_in_flight_alone(
    runner: LiteRtRunner, tmp_path: Path
) -> None:
    model = block_file(tmp_path)
    runner.begin(model, LONG)
    runner.begin(model, SHORT)
    os.kill(server_pid(runner), signal.SIGKILL)
    with pytest.raises(RunnerFailed, match="fork server ended"):
        runner.finish()
    assert runner.finish().statistics.count >= 5


def test_a_visit_whose_runner_is_closed_is_no_number(runner: LiteRtRunner, tmp_path: Path) -> None:
    runner.begin(block_file(tmp_path), SHORT)
    runner.close()
    with pytest.raises(RunnerFailed, match="closed before the visit was over"):
        runner.finish()
    assert runner.visit(block_file(tmp_path), SHORT).statistics.count >= 5


@linux_only
def test_a_child_whose_runs_are_over_leaves_the_measured_core() -> None:
    reading, writing = os.pipe()
    if os.fork() == 0:
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {choose_core(None) or 0})
        _Stages(writing, allowed).over()
        os.write(writing, str(os.sched_getaffinity(0) == allowed).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    assert os.read(reading, 100) == b"\nTrue"
    os.close(reading)


def test_a_visit_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    runner = LiteRtRunner(choose_core(None), spare_s=0.3)
    forever = MeasurementProtocol(measure_ms=1, min_runs=10_000, max_runs=10_000)
    try:
        runner.begin(block_file(tmp_path, size=96), forever)
        runner.begin(block_file(tmp_path), SHORT)
        with pytest.raises(VisitTimedOut, match="took longer than"):
            runner.finish()
        # The one behind it has its own time.
        assert runner.finish().statistics.count >= 5
    finally:
        runner.close()


def test_a_runtime_that_does_not_start_is_a_device_that_is_not_ready(
    runner: LiteRtRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_python = tmp_path / "no-python"
    no_python.write_text("#!/bin/sh\necho broken runtime >&2; exit 3\n", encoding="ascii")
    no_python.chmod(0o700)
    monkeypatch.setattr(runner._forked, "_python", str(no_python))
    with pytest.raises(DeviceNotReady, match="ended with code 3: broken runtime"):
        runner.visit(block_file(tmp_path), SHORT)


@linux_only
def test_the_fork_server_ends_with_its_agent(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from device_agent.runners.fork_server import _Stages
from device_agent.runners.litert import LiteRtRunner
from netspec.protocol import MeasurementProtocol
runner = LiteRtRunner(None)
runner.visit(Path(sys.argv[1]), MeasurementProtocol(measure_ms=1))
print(runner._forked._server._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(block_file(tmp_path))],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL
    wait_for(lambda: _has_ended(int(ended.stdout)))


def _has_ended(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return True
