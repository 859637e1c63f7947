"""The agent's side of the fork server: orders go there, answers come back."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import device_agent
from device_agent import errors
from device_agent.errors import DeviceNotReady, RunnerFailed, VisitFailed
from device_agent.runners.orders import Order, to_line
from device_agent.text import printed

_FORK_SERVER = ("-P", "-m", "device_agent.runners.fork_server")
#: start of the fork server: importing LiteRT on a slow device
_START_TIMEOUT_S = 60.0
#: the fork server answers in this time after an order's own time is up, or is stuck
_GRACE_S = 5.0
#: between two looks at whether an order is still wanted, s
_LOOK_EVERY_S = 0.2
_CHUNK_BYTES = 1 << 16

_FAILURES: dict[str, type[VisitFailed]] = {
    kind.__name__: kind
    for kind in (
        errors.DelegateRefused,
        errors.ModelRefused,
        errors.RunnerFailed,
        errors.VisitTimedOut,
    )
}


def always() -> bool:
    """Say that an order is wanted, whatever happens."""
    return True


class ForkedRuns:
    """Has a fork server carry out orders, one after the other; each may begin before its turn.

    It is started on demand, and again after it died.

    Args:
        python: the Python that holds the runtime, and numpy; by default this one.
    """

    def __init__(self, python: Path | None = None) -> None:
        self._python = str(python or sys.executable)
        self._server: _ForkServer | None = None

    def begin(self, order: Order) -> None:
        """Have an order carried out as soon as those before it are.

        Raises:
            DeviceNotReady: the fork server does not start.
            RunnerFailed: it died.
        """
        if self._server is None:
            self._server = _ForkServer(self._python)
        try:
            self._server.send(order)
        except RunnerFailed:
            self.close()
            raise

    def finish(self, order: Order, go_on: Callable[[], bool] = always) -> dict[str, Any] | None:
        """Return the answer to the first order that waits for one; None: `go_on` said no before.

        Raises:
            VisitFailed: there is no result; its text says why.
        """
        if self._server is None:
            # It ended with the order before.
            self.begin(order)
        assert self._server is not None  # noqa: S101 (an order has begun)
        try:
            answer = self._server.receive(order, go_on)
        except RunnerFailed:
            self.close()
            raise
        if answer is None:
            self.close()
        else:
            raise_failure(answer)
        return answer

    def close(self) -> None:
        """End the fork server."""
        if self._server is not None:
            self._server.close()
            self._server = None


def raise_failure(answer: dict[str, Any]) -> None:
    """See that an answer tells of no failure.

    Raises:
        VisitFailed: it does.
    """
    if "error" in answer:
        raise _FAILURES[answer["error"]](answer["message"])


def runner_environment() -> dict[str, str]:
    """Of a process that holds a runtime: it finds our modules, in whatever Python it runs."""
    root = str(Path(device_agent.__file__).parents[1])
    paths = (root, os.environ.get("PYTHONPATH"))
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        # A library's thread pool would be missing in the forked children.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


class _ForkServer:
    """The other side of `fork_server.main`."""

    def __init__(self, python: str) -> None:
        self._unread = b""
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(  # noqa: S603 (the user's own Python)
            [python, *_FORK_SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # A signal to the terminal's process group must not end the visit in flight.
            start_new_session=True,
            env=runner_environment(),
        )
        try:
            self._read_line(_START_TIMEOUT_S, always)
        except RunnerFailed as error:
            self.close()
            raise DeviceNotReady(f"{error}; does `pip check` find a fault?") from error

    def send(self, order: Order) -> None:
        """Sends an order.

        Raises:
            RunnerFailed: the fork server died.
        """
        assert self._process.stdin is not None  # noqa: S101 (Popen was given a pipe)
        try:
            self._process.stdin.write(to_line(order))
            self._process.stdin.flush()
        except OSError as error:
            raise self._dead() from error

    def receive(self, order: Order, go_on: Callable[[], bool]) -> dict[str, Any] | None:
        """The answer to the order; None: `go_on` said no before it came.

        Raises:
            RunnerFailed: the fork server died or is stuck.
        """
        line = self._read_line(order.timeout_s + _GRACE_S, go_on)
        return None if line is None else json.loads(line)

    def close(self) -> None:
        """Kills the fork server and its child; what is in flight is lost."""
        # Its group is its own session, and outlives it where a child is left.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                # What was not yet sent has no reader any more.
                with suppress(BrokenPipeError):
                    stream.close()

    def _read_line(self, timeout_s: float, go_on: Callable[[], bool]) -> bytes | None:
        assert self._process.stdout is not None  # noqa: S101 (Popen was given a pipe)
        reading = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            if not go_on():
                return None
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise RunnerFailed(f"the runner's fork server gave no answer in {timeout_s:g} s")
            if not select.select([reading], [], [], min(remaining_s, _LOOK_EVERY_S))[0]:
                continue
            chunk = os.read(reading, _CHUNK_BYTES)
            if not chunk:
                raise self._dead()
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _dead(self) -> RunnerFailed:
        code = self._process.wait()
        self._log.seek(0)
        lines = printed(self._log.read()).strip().splitlines()
        last = f": {lines[-1]}" if lines else ""
        return RunnerFailed(f"the runner's fork server ended with code {code}{last}")
