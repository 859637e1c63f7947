"""The real server and agent beside this process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from netspec.client import ProfilerClient
from netspec.console.connection import TOKEN_VARIABLE
from netspec.console.tokens import server_tokens
from search_client.demo import companions as processes
from search_client.demo.companions import Companion, CompanionFailed, Companions, profiler_and_agent
from tests.acceptance.test_ctrl_c import companions
from tests.waiting import wait_for


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # A token of another server, which must not reach the demo's own.
    monkeypatch.setenv(TOKEN_VARIABLE, "of-another-server")
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def registered(companions: Companions, data_dir: Path) -> bool:
    token = server_tokens(companions.url, data_dir)[0]
    with ProfilerClient(companions.url, token) as client:
        return any(target.devices for target in client.targets())


def test_both_serve_until_the_end_and_leave_in_order(tmp_path: Path, data_dir: Path) -> None:
    with profiler_and_agent(tmp_path, data_dir, 0) as companions:
        wait_for(lambda: registered(companions, data_dir))
        companions.check()
        server, agent = companions.running
        assert (server.name, agent.name) == ("profiler-server", "device-agent")
        # Ctrl-C on the terminal goes to the foreground's process group, which is not theirs.
        for companion in companions.running:
            assert os.getpgid(companion.process.pid) == companion.process.pid
            assert companion.log.stat().st_mode & 0o077 == 0
    assert [companion.process.returncode for companion in companions.running] == [0, 0]
    # Had the server gone first, the agent would have complained.
    assert "no profiler answers" not in agent.log.read_text(encoding="utf-8")
    with pytest.raises(httpx2.TransportError):
        httpx2.get(companions.url)


def test_both_end_when_their_user_fails(tmp_path: Path, data_dir: Path) -> None:
    started: list[Companions] = []

    def fail() -> None:
        with profiler_and_agent(tmp_path, data_dir, 0) as companions:
            started.append(companions)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert all(companion.process.poll() is not None for companion in started[0].running)


PARENT = """
import sys, time
from pathlib import Path
from search_client.demo.companions import profiler_and_agent
folder, data_dir = map(Path, sys.argv[1:])
with profiler_and_agent(folder, data_dir, 0):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_both_end_when_their_parent_is_killed(tmp_path: Path, data_dir: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert len(companions(data_dir)) >= 2
        parent.kill()
    wait_for(lambda: companions(data_dir) == [])


def test_one_that_ended_is_named_with_its_last_line(tmp_path: Path, data_dir: Path) -> None:
    with profiler_and_agent(tmp_path, data_dir, 0) as companions:
        wait_for(lambda: registered(companions, data_dir))
        agent = companions.running[1]
        agent.process.kill()
        agent.process.wait()
        with pytest.raises(CompanionFailed, match=r"device-agent ended with exit code -9: .+"):
            companions.check()


def test_a_port_that_is_taken(tmp_path: Path, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(CompanionFailed, match=f"exit code 2: error: port {port} .* is taken"),
            profiler_and_agent(tmp_path, data_dir, port),
        ):
            pass


def test_a_server_that_is_not_ready_in_time_is_stopped(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "START_TIMEOUT_S", 0.0)
    with (
        pytest.raises(CompanionFailed, match="profiler-server was not ready within 0 s"),
        profiler_and_agent(tmp_path, data_dir, 0),
    ):
        pass


def test_a_room_that_is_not_installed(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with (
        pytest.raises(CompanionFailed, match="install the extras server and agent"),
        profiler_and_agent(tmp_path, data_dir, 0),
    ):
        pass


@contextmanager
def deaf(folder: Path) -> Iterator[Companion]:
    """A process that does not hear SIGTERM."""
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"deaf\n"
        yield Companion("deaf", process, folder / "log")


def interrupted(_: float | None = None) -> int:
    raise KeyboardInterrupt


def test_one_that_takes_too_long_to_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.1)
    with deaf(tmp_path) as companion:
        companion.stop()
        assert companion.process.returncode == -9


def test_a_second_ctrl_c_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf(tmp_path) as companion:
        wait: Callable[[float | None], int] = companion.process.wait
        waits = iter([interrupted, wait])
        monkeypatch.setattr(
            companion.process, "wait", lambda timeout=None: next(waits, wait)(timeout)
        )
        companion.stop()
        assert companion.process.returncode == -9
