"""The server as a real process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from netspec.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE

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
    """`profiler-server serve`; stopped, if need be the hard way, at the end of the block."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "profiler_server", "serve", "--port", str(port)],
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
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

    def _line(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT_S)
        assert ready, "the server is silent"
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        return bytes(line).decode().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self.kill()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Sends a signal; the exit code and what was written to stderr."""
        self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=20)
        return self._process.returncode, bytes(errors).decode()

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.wait()
