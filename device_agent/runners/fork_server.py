"""A process with LiteRT loaded that forks one child an order, an order ahead.

Started by `forked_runs.ForkedRuns` as `python -m device_agent.runners.fork_server`. One JSON object
a line: orders on stdin, of visits and test images, answers on stdout. It holds one thread and no
socket, so a child inherits neither. It ends when stdin does, so it never outlives its agent.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from device_agent.runners.image_outputs import run_images
from device_agent.runners.orders import Order, VisitOrder, from_line, to_line
from device_agent.runners.timed_runs import make_visit
from device_agent.text import printed

#: bytes of a dead child's last words that the answer carries
_LOG_TAIL_BYTES = 2_000
_CHUNK_BYTES = 1 << 16
#: ends a whole result; an empty line before it says that the model is loaded
_WHOLE = b"\n"


def main() -> None:
    """Serves orders until stdin ends."""
    # Whatever native code prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.collect()
    gc.freeze()
    _answer(answers, {"ready": True})
    spare = _Child(answers)
    gone: _Child | None = None
    for line in sys.stdin.buffer:
        order, child = from_line(line), spare
        deadline = time.monotonic() + order.timeout_s
        child.begin(order)
        if gone is not None:
            gone.wait()
        # The child warms up now: neither does the next visit wait for its process, nor are this
        # one's counted runs disturbed, nor do both ask for memory at once.
        child.wait_until_loaded(deadline)
        spare = _Child(answers)
        _answer(answers, child.result(order, deadline))
        gone = child


def _answer(answers: BinaryIO, answer: dict[str, object]) -> None:
    answers.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    answers.flush()


class _Child:
    """A process for one order, forked before the order is known.

    It ends when its orders do, so it outlives neither its order nor this server.
    """

    def __init__(self, answers: BinaryIO) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by result)
        ordered, self._orders = os.pipe()
        self._results, writing = os.pipe()
        self._status: int | None = None
        self._pid = os.fork()
        if self._pid == 0:
            # Held open, they would hide this server's death from the agent, and from the child.
            os.close(answers.fileno())
            os.close(self._orders)
            _be_the_child(ordered, writing, self._log)
        os.close(ordered)
        os.close(writing)

    def begin(self, order: Order) -> None:
        """Has the order carried out."""
        # A child that died before its order shows in the result.
        with suppress(BrokenPipeError, ProcessLookupError):
            if order.core is not None:
                # Pinned only once it runs, it would wait for this server's core first.
                os.sched_setaffinity(self._pid, {order.core})
            with os.fdopen(self._orders, "wb") as orders:
                orders.write(to_line(order))

    def wait_until_loaded(self, deadline: float) -> None:
        """Returns when it has its model, or never will."""
        _is_readable(self._results, deadline)

    def result(self, order: Order, deadline: float) -> dict[str, object]:
        """Its answer to the order, as soon as it is known how it ended."""
        with self._log:
            result = _read_line(self._results, deadline)
            os.close(self._results)
            if result is not None and result.endswith(_WHOLE):
                # The agent can go on with it while the child's memory is taken down.
                return {"result": result[: -len(_WHOLE)].decode(), "log": _tail(self._log)}
            if result is None:
                os.kill(self._pid, signal.SIGKILL)
            status = self.wait()
            return _failure(order, result, status, _tail(self._log))

    def wait(self) -> int:
        """Its wait status, once it is gone."""
        if self._status is None:
            _, self._status = os.waitpid(self._pid, 0)
        return self._status


def _failure(order: Order, result: bytes | None, status: int, output: str) -> dict[str, object]:
    if result is None:
        message = f"{order.NAME} took longer than {order.timeout_s:g} s and was stopped"
        return {"error": "VisitTimedOut", "message": message}
    ending = _ending(os.waitstatus_to_exitcode(status))
    message = f"the process that made {order.NAME} {ending}" + (
        f"; it said: {output}" if output else ""
    )
    return {"error": "RunnerFailed", "message": message}


def _tail(log: BinaryIO) -> str:
    """The child's last words."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
    return printed(log.read()).strip()


def _be_the_child(ordered: int, writing: int, log: BinaryIO) -> None:
    """Carries the order out and ends this process; never returns into the server's loop."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        with os.fdopen(ordered, "rb") as orders:
            order = orders.read()
        if order:
            result = _carry_out(from_line(order), lambda: os.write(writing, _WHOLE))
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(json.dumps(result, separators=(",", ":")).encode() + _WHOLE)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        os._exit(code)


def _carry_out(order: Order, loaded: Callable[[], object]) -> dict[str, Any]:
    if isinstance(order, VisitOrder):
        return make_visit(order, loaded)
    return run_images(order, loaded)


def _read_line(reading: int, deadline: float) -> bytes | None:
    """The child's result, as far as it came; None when the deadline passed."""
    read = b""
    while not read.endswith(_WHOLE):
        if not _is_readable(reading, deadline):
            return None
        chunk = os.read(reading, _CHUNK_BYTES)
        if not chunk:
            break
        read = (read + chunk).lstrip(_WHOLE)
    return read


def _is_readable(reading: int, deadline: float) -> bool:
    remaining_s = deadline - time.monotonic()
    return remaining_s > 0 and bool(select.select([reading], [], [], remaining_s)[0])


def _ending(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


if __name__ == "__main__":
    main()
