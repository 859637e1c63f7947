"""The server as a real process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE

START_TIMEOUT_S = 30


def environment(folder: Path) -> dict[str, str]:
    """This process's environment with another data folder and without a token."""
    kept = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    return {**kept, DATA_DIR_VARIABLE: str(folder)}


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `profiler-server ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "profiler_server", *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Server:
    """`profiler-server serve`; stopped, if need be the hard way, at the end of the block.

    Args:
        folder: the data folder.
        port: 0: any that is free.
        program: Python's arguments for another program that takes the same ones.
        options: more options of `serve`.
        variables: more of the environment, for instance settings.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        program: Sequence[str] = ("-m", "profiler_server"),
        options: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        # Into a file: a full pipe that nobody reads would stop the server.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, *program, "serve", "--port", str(port), *options],
            env={**environment(folder), **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # unbuffered: what is read ahead, select does not see
            bufsize=0,
        )
        try:
            self.url = self._line().removeprefix("profiler-server at ")
            self.about_token = self._line()
        except BaseException:
            self._end()
            raise
        self.port = int(self.url.rsplit(":", 1)[1])
        self.pid = self._process.pid

    def _line(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT_S)
        assert ready, "the server is silent"
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(START_TIMEOUT_S)
            raise RuntimeError(f"the server did not start: {self.errors}")
        return bytes(line).decode().strip()

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        # Not by seeking: the process writes where the shared file position is.
        return os.pread(self._errors.fileno(), 2**24, 0).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Sends a signal; the exit code and what was written to stderr."""
        self.send(number)
        self._process.wait(timeout=20)
        return self._process.returncode, self.errors

    def died(self, timeout_s: float = 20) -> int:
        """Waits for its end; the exit code."""
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.wait()
