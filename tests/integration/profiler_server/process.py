"""The server as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE
from tests.forked import Program, PythonProgram, run
from tests.waiting import wait_for


def environment(folder: Path) -> dict[str, str]:
    """This process's environment with another data folder and without a token."""
    kept = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    return {**kept, DATA_DIR_VARIABLE: str(folder)}


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `profiler-server ARGUMENTS` to its end."""
    return run("profiler-server", *arguments, variables=environment(folder))


class Server:
    """`profiler-server serve`; stopped, if need be the hard way, at the end of the block.

    Args:
        folder: the data folder.
        port: 0: any that is free.
        program: Python's arguments for one that takes the same ones, in an interpreter of its own.
        options: more options of `serve`.
        variables: more of the environment, for instance settings.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        program: Sequence[str] = (),
        options: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        words = ("serve", "--port", str(port), *options)
        given = {**environment(folder), **(variables or {})}
        if program:
            self._program: Program = PythonProgram("python", *program, *words, variables=given)
        else:
            self._program = Program("profiler-server", *words, variables=given)
        self.pid = self._program.pid
        try:
            wait_for(self._announced)
        except BaseException:
            self._program.close()
            raise
        first, self.about_token, *_ = self._program.stdout.splitlines()
        self.url = first.removeprefix("profiler-server at ")
        self.port = int(self.url.rsplit(":", 1)[1])

    def _announced(self) -> bool:
        """Whether it has said where it is and what token there is."""
        assert self._program.returncode is None, f"the server did not start: {self.errors}"
        return self._program.stdout.count("\n") > 1

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._program.stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Sends a signal; the exit code and what was written to stderr."""
        self._program.send_signal(number)
        ended = self._program.wait(timeout_s=20)
        return ended.returncode, ended.stderr

    def kill(self) -> None:
        """`kill -9`."""
        self._program.kill()
