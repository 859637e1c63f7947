"""Our programs as commands that a shell finds, in processes forked with the imports behind them.

A docs' page starts dozens, and each would import for longer than it works. To the shell they are as
the installed ones: with its folder, environment and streams, an exit code, and signals.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

from tests.forked import MODULES, processes

#: hands its words, folder, environment and streams over, and ends as what was forked does
_COMMAND = """#!{python} -IS
import json, os, signal, socket, sys

connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
order = {{"words": ["{name}", *sys.argv[1:]], "folder": os.getcwd(), "variables": {{**os.environ}}}}
socket.send_fds(connection, [json.dumps(order).encode() + b"\\n"], [0, 1, 2])
answers = connection.makefile()
pid = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os.kill(pid, number))
code = int(answers.readline())
sys.exit(code if code >= 0 else 128 - code)
"""
_MOST_BYTES = 1 << 16


@contextmanager
def commands() -> Iterator[Path]:
    """A folder for the front of `PATH`, with a command for each of our programs."""
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="docs-") as name:
        folder = Path(name)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "socket"))
            listening.listen()
            for program in MODULES:
                text = _COMMAND.format(
                    python=sys.executable, address=str(folder / "socket"), name=program
                )
                (folder / program).write_text(text, encoding="utf-8")
                (folder / program).chmod(0o755)
            # No daemon: those may have no children, and programs have some.
            server = processes.Process(target=_serve, args=(listening,), daemon=False)
            server.start()
        yield folder
        server.kill()
        server.join()


def _serve(listening: socket.socket) -> None:
    # Nobody asks how the forks below ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    above = multiprocessing.parent_process()
    assert above is not None
    while above.sentinel not in wait([listening, above.sentinel]):
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _run_for(connection)
        connection.close()


def _run_for(connection: socket.socket) -> None:
    """Run what the other side orders, and tell it the process's id and its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, streams, _, _ = socket.recv_fds(connection, _MOST_BYTES, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(_MOST_BYTES)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _be_program(json.loads(text), streams)
    connection.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _be_program(order: dict[str, object], streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    words, variables = order["words"], order["variables"]
    assert isinstance(words, list)
    assert isinstance(variables, dict)
    os.chdir(str(order["folder"]))
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = words
    code: object = 1
    try:
        importlib.import_module(MODULES[words[0]]).main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - as an interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))
