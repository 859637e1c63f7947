"""Our programs in processes that are forked from one with their imports behind it.

Importing torch takes longer than all that a refused command does. Everything else is as the
installed scripts have it: a process of its own with its own environment, exit code and streams.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

TIMEOUT_S = 120.0
MODULES = {
    "profiler-server": "profiler_server.cli",
    "device-agent": "device_agent.cli",
    "search-client": "search_client.cli",
}
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.preloaded"])


class Program:
    """A program that was started; ended, if need be the hard way, at the end of the block.

    Args:
        name: of the console script.
        arguments: of its command line.
        variables: the whole environment.
        prepare: called in the new process, before the program is.
    """

    def __init__(
        self,
        name: str,
        *arguments: str | Path,
        variables: Mapping[str, str],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.args = [name, *map(str, arguments)]
        self._prepare = prepare
        # Into files: a full pipe that nobody reads would stop it.
        self._folder = tempfile.TemporaryDirectory(prefix="program-")
        self._out, self._err = (Path(self._folder.name) / name for name in ("stdout", "stderr"))
        self._out.touch()
        self._err.touch()
        self._start(dict(variables))

    def _start(self, variables: dict[str, str]) -> None:
        self._process = processes.Process(
            target=_run,
            args=(self.args, variables, str(self._out), str(self._err), self._prepare),
            daemon=True,
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def returncode(self) -> int | None:
        """How it ended, None as long as it runs; negative: the signal that killed it."""
        return self._process.exitcode

    @property
    def stdout(self) -> str:
        """What it has written to its standard output."""
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has written to its standard error."""
        return self._err.read_text(encoding="utf-8")

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        """Wait for its end.

        Raises:
            TimeoutExpired: it still runs.
        """
        self._join(timeout_s)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout_s, self.stdout, self.stderr)
        return subprocess.CompletedProcess(self.args, self.returncode, self.stdout, self.stderr)

    def _join(self, timeout_s: float) -> None:
        self._process.join(timeout_s)

    def kill(self) -> None:
        """`kill -9`."""
        if self.returncode is None:
            self.send_signal(signal.SIGKILL)
            self.wait()

    def close(self) -> None:
        """End it, and forget what it wrote."""
        self.kill()
        self._folder.cleanup()


class PythonProgram(Program):
    """A program of `python ARGUMENTS`, with an interpreter of its own: to be measured, say."""

    def _start(self, variables: dict[str, str]) -> None:
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self._started = subprocess.Popen(
                [sys.executable, *self.args[1:]], env=variables, stdout=out, stderr=err
            )
        self.pid = self._started.pid

    @property
    def returncode(self) -> int | None:
        """As a program's."""
        return self._started.poll()

    def _join(self, timeout_s: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._started.wait(timeout_s)


def run(
    name: str,
    *arguments: str | Path,
    variables: Mapping[str, str],
    prepare: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    with Program(name, *arguments, variables=variables, prepare=prepare) as program:
        return program.wait()


def _run(
    words: list[str],
    variables: dict[str, str],
    out: str,
    err: str,
    prepare: Callable[[], None] | None,
) -> None:
    """What the forked process does."""
    os.environ.clear()
    os.environ.update(variables)
    for path, stream in ((out, 1), (err, 2)):
        # Appended to, so that neither overwrites what a process of its own writes there.
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), stream)
    sys.argv = words
    if prepare is not None:
        prepare()
    importlib.import_module(MODULES[words[0]]).main()
