"""Visits on this machine with LiteRT, each in a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

import device_agent
from device_agent import errors
from device_agent.errors import DeviceNotReady, RunnerFailed, VisitFailed
from device_agent.runners.base import Measured
from device_agent.runners.host_profile import read_profile
from device_agent.runners.visit_order import VisitOrder
from device_agent.text import printed
from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import Profile

_FORK_SERVER = ("-P", "-m", "device_agent.runners.fork_server")
#: start of the fork server: importing LiteRT on a slow device
START_TIMEOUT_S = 60.0
#: what a visit may take beyond the time that its protocol asks for
SPARE_S = 60.0
#: the fork server answers in this time after a visit's own time is up, or is stuck
_GRACE_S = 5.0
_CHUNK_BYTES = 1 << 16
#: what a visit's raw text may hold on the wire, characters
_MAX_RAW = 65_536

_FAILURES: dict[str, type[VisitFailed]] = {
    kind.__name__: kind
    for kind in (
        errors.DelegateRefused,
        errors.ModelRefused,
        errors.RunnerFailed,
        errors.VisitTimedOut,
    )
}


class LiteRtRunner:
    """Runs models in LiteRT with XNNPACK and one thread.

    A fork server, started on demand and again after it died, holds the loaded runtime.

    Args:
        core: the core that visits are pinned to, None where the system cannot pin.
        spare_s: what a visit may take beyond the time that its protocol asks for, in s.
        python: the Python that holds the runtime, and numpy; by default this one.
    """

    def __init__(
        self, core: int | None, *, spare_s: float = SPARE_S, python: Path | None = None
    ) -> None:
        self._python = str(python or sys.executable)
        self._core = core
        self._spare_s = spare_s
        self._server: _ForkServer | None = None
        self._order: VisitOrder | None = None
        self._operators: Sequence[Operator] | None = None

    def begin(
        self,
        model: Path,
        protocol: MeasurementProtocol,
        operators: Sequence[Operator] | None = None,
        *,
        allow_partial: bool = False,
    ) -> None:
        """Begins a visit, see `Runner.begin`."""
        asked_s = (protocol.warmup_ms + protocol.measure_ms) / 1000
        self._operators = operators
        self._order = VisitOrder(
            model=str(model.resolve()),
            core=self._core,
            warmup_ms=protocol.warmup_ms,
            measure_ms=protocol.measure_ms,
            min_runs=protocol.min_runs,
            max_runs=protocol.max_runs,
            timeout_s=self._spare_s + asked_s * (1 if operators is None else 2),
            profile=operators is not None,
            allow_partial=allow_partial,
        )
        if self._server is None:
            self._server = _ForkServer(self._python)
        try:
            self._server.send(self._order)
        except RunnerFailed:
            self.close()
            raise

    def finish(self) -> Measured:
        """What the visit gave, see `Runner.finish`."""
        assert self._server is not None  # noqa: S101 (a visit has begun)
        assert self._order is not None  # noqa: S101 (a visit has begun)
        try:
            answer = self._server.receive(self._order)
        except RunnerFailed:
            self.close()
            raise
        _raise_failure(answer)
        visit = json.loads(answer["result"])
        _raise_failure(visit)
        runs_ns = np.array(visit["runs_ns"], dtype=np.float64)
        profile = self._profile(visit)
        return Measured(
            statistics=VisitStatistics.of(runs_ns / 1000),
            raw=_raw_text(visit, answer["log"]),
            clean_share=visit["clean_share"],
            busy_share=visit["busy_share"],
            profile=profile,
        )

    def _profile(self, visit: dict[str, Any]) -> Profile | None:
        """The profile of a visit; what it was made of gives way to what is kept as raw text.

        Raises:
            ProfileMismatch: the kernels are not the operators' layers.
        """
        if "profile" not in visit:
            return None
        try:
            profile, visit["profile"] = read_profile(self._operators or (), visit["profile"])
        except errors.ProfileMismatch as error:
            if not visit["order"]["allow_partial"]:
                raise
            del visit["profile"]
            visit["no_profile"] = str(error)
            return None
        return profile

    def visit(
        self,
        model: Path,
        protocol: MeasurementProtocol,
        operators: Sequence[Operator] | None = None,
        *,
        allow_partial: bool = False,
    ) -> Measured:
        """One visit from its begin to its finish."""
        self.begin(model, protocol, operators, allow_partial=allow_partial)
        return self.finish()

    def close(self) -> None:
        """Ends the fork server."""
        if self._server is not None:
            self._server.close()
            self._server = None


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


def _raise_failure(answer: dict[str, Any]) -> None:
    if "error" in answer:
        raise _FAILURES[answer["error"]](answer["message"])


def _raw_text(visit: dict[str, Any], log: str) -> str:
    """What was seen as JSON, with as many single runs as the wire has room for."""
    visit = {**visit, "log": log}
    text = json.dumps(visit, separators=(",", ":"))
    while len(text) > _MAX_RAW:
        kept = len(visit["runs_ns"]) // 2
        visit = {**visit, "runs_ns": visit["runs_ns"][:kept], "runs_ns_cut_to": kept}
        text = json.dumps(visit, separators=(",", ":"))
    return text


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
            self._read_line(START_TIMEOUT_S)
        except RunnerFailed as error:
            self.close()
            raise DeviceNotReady(f"{error}; does `pip check` find a fault?") from error

    def send(self, order: VisitOrder) -> None:
        """Orders a visit.

        Raises:
            RunnerFailed: the fork server died.
        """
        assert self._process.stdin is not None  # noqa: S101 (Popen was given a pipe)
        try:
            self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._dead() from error

    def receive(self, order: VisitOrder) -> dict[str, Any]:
        """The answer to the order.

        Raises:
            RunnerFailed: the fork server died or is stuck.
        """
        answer: dict[str, Any] = json.loads(self._read_line(order.timeout_s + _GRACE_S))
        return answer

    def close(self) -> None:
        """Kills the fork server and its child; the visit in flight, if any, is lost."""
        # Its group is its own session, and outlives it where a child is left.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                # What was not yet sent has no reader any more.
                with suppress(BrokenPipeError):
                    stream.close()

    def _read_line(self, timeout_s: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 (Popen was given a pipe)
        reading = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0 or not select.select([reading], [], [], remaining_s)[0]:
                raise RunnerFailed(f"the runner's fork server gave no answer in {timeout_s:g} s")
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
