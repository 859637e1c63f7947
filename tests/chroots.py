"""A real daemon in a folder that looks like another machine, in namespaces of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.phones.ports import free_port, listens

_START_TIMEOUT_S = 10.0


class CannotStart(Exception):
    """The daemon does not start here; the text says why."""


class ChrootDaemon:
    """Starts it, and ends all its processes at once.

    Args:
        root: the folder; its log lies beside it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that holds its namespaces."""
        assert self._process is not None
        return self._process.pid

    def start(self, *command: str | Path) -> None:
        """Starts it.

        Args:
            command: enters the folder, and executes what listens at `port`.

        Raises:
            CannotStart: it ends, or does not listen.
        """
        own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
        log = (self.root.parent / f"{self.root.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    *("unshare", *own_user, "--mount", "--propagation", "private"),
                    *("--pid", "--fork", "--kill-child", "--", *command),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = Path(log.name).read_text()[-500:]
                raise CannotStart(f"the daemon of {self.root} does not start here: {said}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends all its processes, as when a machine's power fails."""
        if self._process is None:
            return
        # The first process of the namespace: all others go with it, and unshare buries it.
        pid = self._process.pid
        first = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in first or [str(pid)]:
            os.kill(int(child), signal.SIGKILL)
        self._process.wait()
        self._process = None
