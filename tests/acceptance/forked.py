"""Console scripts in processes that are forked from one with their imports behind it.

Importing torch takes longer than all that a refused command does. Everything else is as in
`commands.run`: a process of its own with its own environment, exit code and streams.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import device_agent.cli
import profiler_server.cli
import search_client.cli
from tests.acceptance.commands import environment

_MAINS: dict[str, Callable[[], None]] = {
    "profiler-server": profiler_server.cli.main,
    "device-agent": device_agent.cli.main,
    "search-client": search_client.cli.main,
}
#: what commands import when they are called
_LATE = ("profiler_server.serving", "search_client.search.tensorboard", "search_client.demo.farm")
ROOT = Path(__file__).parents[2]


class Commands:
    """Runs commands one after the other."""

    def __init__(self, parent: subprocess.Popen[str], folder: Path) -> None:
        self._parent = parent
        self._folder = folder

    def run(
        self, name: str, *arguments: str | Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        words = [name, *map(str, arguments)]
        out, err = self._folder / "stdout", self._folder / "stderr"
        asked = [words, environment(**variables), str(out), str(err)]
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(json.dumps(asked), file=self._parent.stdin, flush=True)
        code = int(self._parent.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())


@contextmanager
def forked_commands(folder: Path) -> Iterator[Commands]:
    """Commands whose output goes through files in a folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.forked"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        yield Commands(parent, folder)


def _serve() -> None:
    """Forks a process for each line of standard input, and prints the exit code of each."""
    for module in _LATE:
        importlib.import_module(module)
    # Else each process copies all of it when it ends, to count its references.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            words, variables, out, err = json.loads(line)
            os.environ.clear()
            os.environ.update(variables)
            for path, stream in ((os.devnull, 0), (out, 1), (err, 2)):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), stream)
            sys.argv = words
            _MAINS[words[0]]()
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
