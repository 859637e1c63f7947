"""Starting a profiler server and a device agent beside the demo, and stopping them in order."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE
from netspec.console.parent import END_WITH_STDIN_VARIABLE
from netspec.errors import UserError
from netspec.protocol import TargetIdentity

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
_POLL_S = 0.1
_URL = re.compile(r"http://[\w.:\[\]-]+")


class CompanionFailed(UserError):
    """The server or the agent of the demo did not start, or ended early."""


@dataclass(frozen=True)
class Companion:
    """A running console script of another room, logging to a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises `CompanionFailed` with its last line if it has ended."""
        code = self.process.poll()
        if code is not None:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "no output")
            raise CompanionFailed(
                f"{self.name} ended with exit code {code}: {last} (see {self.log})"
            )

    def stop(self) -> None:
        """Asks it to end (SIGTERM) and waits; an agent finishes and uploads its visit.

        A process that takes too long is killed, and so is one whose user presses Ctrl-C again.
        """
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                self.process.kill()
                self.process.wait()


def start(name: str, arguments: Sequence[str], folder: Path, data_dir: Path) -> Companion:
    """Starts a console script that is installed beside this interpreter.

    It gets a session of its own, so that Ctrl-C reaches this process alone, which
    then stops its companions in the right order. It ends by itself if this process dies.
    """
    script = _script(name)
    log = folder / f"{name}.log"
    environment = {**_environment(data_dir), END_WITH_STDIN_VARIABLE: "1"}
    # The server's first lines hold its token.
    log.touch(mode=0o600)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own script, arguments as a list
            [str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    return Companion(name, process, log)


def _environment(data_dir: Path) -> dict[str, str]:
    environment = {**os.environ, DATA_DIR_VARIABLE: str(data_dir.resolve())}
    # The demo's server has a token of its own.
    environment.pop(TOKEN_VARIABLE, None)
    return environment


def host_identity(data_dir: Path) -> TargetIdentity:
    """What an agent on this machine measures, as `device-agent devices` says.

    Args:
        data_dir: the agent's.

    Raises:
        CompanionFailed: the agent cannot measure here.
    """
    said = subprocess.run(  # noqa: S603 - our own script, arguments as a list
        [str(_script("device-agent")), "devices", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_environment(data_dir),
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    if said.returncode != 0:
        why = said.stderr.strip().removeprefix("error: ")
        raise CompanionFailed(f"device-agent cannot measure on this machine: {why}")
    seen = json.loads(said.stdout)
    if seen["host"] is None:
        raise CompanionFailed(f"device-agent cannot measure here: {seen['host_problem']}")
    return TargetIdentity.model_validate(seen["host"])


def _script(name: str) -> Path:
    """A console script that is installed beside this interpreter."""
    script = Path(sys.executable).with_name(name)
    if not script.exists():
        raise CompanionFailed(
            f"{name} is not installed beside {sys.executable}; "
            "install the extras server and agent, or run scripts/demo"
        )
    return script


@dataclass(frozen=True)
class Companions:
    """The processes beside this one."""

    #: of the server
    url: str
    running: tuple[Companion, ...]

    def check(self) -> None:
        """Raises `CompanionFailed` if one of them has ended."""
        for companion in self.running:
            companion.check()


@contextmanager
def profiler_and_agent(folder: Path, data_dir: Path, port: int) -> Iterator[Companions]:
    """A server that is ready and an agent of this host that is starting.

    Args:
        folder: for the logs.
        data_dir: for the database, the token and the spool.
        port: for the server; 0 takes any that is free.

    Raises:
        CompanionFailed: the server ended, or was not ready in time.
    """
    # The stack stops the agent first: its last visits need a server.
    with ExitStack() as started:
        server = start("profiler-server", ["serve", "--port", str(port)], folder, data_dir)
        started.callback(server.stop)
        url = _wait_for_server(server)
        agent = start("device-agent", ["run", "--profiler-url", url], folder, data_dir)
        started.callback(agent.stop)
        yield Companions(url, (server, agent))


def _wait_for_server(server: Companion) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        server.check()
        url = _URL.search(server.log.read_text(encoding="utf-8", errors="replace"))
        if url:
            # Not listening yet: that is what this loop waits for.
            with suppress(httpx2.TransportError):
                if httpx2.get(f"{url[0]}/readyz", timeout=5.0).is_success:
                    return url[0]
        time.sleep(_POLL_S)
    raise CompanionFailed(
        f"{server.name} was not ready within {START_TIMEOUT_S:g} s (see {server.log})"
    )
