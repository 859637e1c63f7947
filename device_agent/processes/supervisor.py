"""Many phones, one agent: a process each, started when a phone is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from device_agent.errors import PhoneUnusable
from device_agent.processes.status import StatusFile
from device_agent.processes.stop import StopSignal
from device_agent.transports.base import PhoneRoute
from netspec.console.parent import END_WITH_STDIN_VARIABLE

#: between two looks at what is plugged in, s
LOOK_EVERY_S = 5.0
#: pauses (s) before a phone's process is started again after one, two, ... failures in a row
RESTART_AFTER_S = (5.0, 30.0, 120.0, 600.0)
#: a process that lived this long had no trouble starting, s
_LIVED_S = 60.0
#: how long processes may take to finish a visit and hand back, s
_END_TIMEOUT_S = 60.0

_log = structlog.get_logger()


@dataclass
class _Worker:
    #: until its process tells by itself, and when there is none
    status: StatusFile
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    done: bool = False


@dataclass
class Supervisor:
    """Keeps a process for every phone that is plugged in.

    A phone that goes away is waited for by its own process; one that cannot be measured on is
    tried again after a while, since its fault may be put right at any time.

    Args:
        seen: the phones plugged in.
        command: starts the process of one.
        stop: ends all.
        status_folder: where processes say what they do; here it is said for those that cannot.
        look_every_s: between two looks.
    """

    seen: Callable[[], Sequence[PhoneRoute]]
    command: Callable[[PhoneRoute], list[str]]
    stop: StopSignal
    status_folder: Path
    look_every_s: float = LOOK_EVERY_S
    _workers: dict[str, _Worker] = field(default_factory=dict)

    def run(self, *, until_idle: bool) -> None:
        """Looks and starts until asked to stop; with `until_idle`, until every process ended.

        Raises:
            PhoneUnusable: with `until_idle`, processes ended with an error, which they have said.
        """
        try:
            while not self.stop.requested:
                for phone in self.seen():
                    self._start(phone, once=until_idle)
                self._reap(once=until_idle)
                if until_idle and all(worker.done for worker in self._workers.values()):
                    self._raise_failures()
                    return
                self.stop.wait(0.5 if until_idle else self.look_every_s)
        finally:
            self._end()

    def _start(self, phone: PhoneRoute, *, once: bool) -> None:
        if phone.serial not in self._workers:
            self._workers[phone.serial] = _Worker(StatusFile(self.status_folder, phone.serial))
        worker = self._workers[phone.serial]
        if worker.process is not None or time.monotonic() < worker.not_before:
            return
        if once and worker.done:
            return
        _log.info("device", device=phone.serial, way=phone.way)
        worker.status.change(state="starting", why="")
        # In a session of its own: Ctrl-C reaches it once, from here.
        worker.process = subprocess.Popen(  # noqa: S603 (our own program)
            self.command(phone),
            # It ends with this process, however that ends.
            stdin=subprocess.PIPE,
            env={**os.environ, END_WITH_STDIN_VARIABLE: "1"},
            start_new_session=True,
        )
        worker.started_at = time.monotonic()

    def _reap(self, *, once: bool) -> None:
        for serial, worker in self._workers.items():
            if worker.process is None or worker.process.poll() is None:
                continue
            with worker.process as ended:
                worker.process = None
            worker.status.close()
            code = ended.returncode
            worker.done = once
            if code == 0:
                worker.failures = 0
                continue
            lived_s = time.monotonic() - worker.started_at
            worker.failures = 1 if lived_s > _LIVED_S else worker.failures + 1
            if once:
                continue
            pause_s = RESTART_AFTER_S[min(worker.failures, len(RESTART_AFTER_S)) - 1]
            worker.not_before = time.monotonic() + pause_s
            again = f"is started again in {pause_s:g} s"
            why = f"its process ended with exit code {code}, as the log explains, and {again}"
            worker.status.change(state="waiting", why=why)
            _log.warning("device's process ended", device=serial, code=code, again_in_s=pause_s)

    def _raise_failures(self) -> None:
        failed = [serial for serial, worker in self._workers.items() if worker.failures]
        if failed:
            raise PhoneUnusable(
                f"{len(failed)} of {len(self._workers)} devices were not measured to the end "
                f"({', '.join(failed)}); why is said above, and `device-agent doctor` says more"
            )

    def _end(self) -> None:
        """Asks every process to end, and waits until it has."""
        running = [worker.process for worker in self._workers.values() if worker.process]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _END_TIMEOUT_S
        for process in running:
            with process:
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
        for worker in self._workers.values():
            worker.status.close()


def python_command(*arguments: str) -> list[str]:
    """Another command of this agent."""
    return [sys.executable, "-P", "-m", "device_agent", *arguments]
