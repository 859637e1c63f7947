"""A process with LiteRT loaded that forks one child an order, an order ahead.

Started by `forked_runs.ForkedRuns` as `python -m device_agent.runners.fork_server`. One JSON object
a line: orders on stdin, of visits and test images, answers on stdout. An order that is there when
the runs of the one before are over begins at once: what those saw is told beside it, on another
core. It holds one thread and no socket, so a child inherits neither. It ends when stdin does, so it
never outlives its agent.
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
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from device_agent.runners.image_outputs import run_images
from device_agent.runners.orders import Order, VisitOrder, from_line
from device_agent.runners.timed_runs import make_visit
from device_agent.text import printed

#: bytes of a dead child's last words that the answer carries
_LOG_TAIL_BYTES = 2_000
_CHUNK_BYTES = 1 << 16
#: ends a whole result; an empty line before it says that the model is loaded, and a second one that
#: the core is free again
_WHOLE = b"\n"
_LOADED, _OVER = 1, 2


def main() -> None:
    """Serves orders until stdin ends."""
    # Whatever native code prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.collect()
    gc.freeze()
    _answer(answers, {"ready": True})
    orders = _Orders()
    spare = _Child(answers)
    gone: _Child | None = None
    running: _Child | None = None
    while True:
        if running is None:
            line = orders.wait()
            if line is None:
                return
            running = spare.begin(line)
        if gone is not None:
            gone.wait()
        # The child warms up now: neither does the next visit wait for its process, nor are this
        # one's counted runs disturbed, nor do both ask for memory at once.
        running.wait_until(_LOADED)
        spare = _Child(answers)
        running.wait_until(_OVER)
        line = orders.ready()
        following = None if line is None else spare.begin(line)
        _answer(answers, running.result())
        gone, running = running, following


class _Orders:
    """Lines of stdin, one at a time, whether or not several came at once."""

    def __init__(self) -> None:
        self._unread = b""

    def wait(self) -> bytes | None:
        """The next order; None where no more will come."""
        while _WHOLE not in self._unread:
            chunk = os.read(0, _CHUNK_BYTES)
            if not chunk:
                return None
            self._unread += chunk
        line, self._unread = self._unread.split(_WHOLE, 1)
        return line

    def ready(self) -> bytes | None:
        """The next order, if it is there already."""
        if _WHOLE not in self._unread and select.select([0], [], [], 0)[0]:
            self._unread += os.read(0, _CHUNK_BYTES)
        return self.wait() if _WHOLE in self._unread else None


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
        self._read = b""
        self._status: int | None = None
        self._order: Order
        self._deadline = 0.0
        self._pid = os.fork()
        if self._pid == 0:
            # Held open, they would hide this server's death from the agent, and from the child.
            os.close(answers.fileno())
            os.close(self._orders)
            _be_the_child(ordered, writing, self._log)
        os.close(ordered)
        os.close(writing)

    def begin(self, line: bytes) -> Self:
        """Has an order carried out."""
        order = self._order = from_line(line)
        self._deadline = time.monotonic() + order.timeout_s
        # A child that died before its order shows in the result.
        with suppress(BrokenPipeError, ProcessLookupError):
            if order.core is not None:
                # Pinned only once it runs, it would wait for this server's core first.
                os.sched_setaffinity(self._pid, {order.core})
            with os.fdopen(self._orders, "wb") as orders:
                orders.write(line)
        return self

    def wait_until(self, stage: int) -> None:
        """Returns when it has come so far, or never will."""
        self._read_until(lambda text: len(text) - len(text.lstrip(_WHOLE)) >= stage)

    def result(self) -> dict[str, object]:
        """Its answer to the order, as soon as it is known how it ended."""
        with self._log:
            in_time = self._read_until(lambda _: False)
            os.close(self._results)
            result = self._read.lstrip(_WHOLE)
            if result.endswith(_WHOLE):
                # The agent can go on with it while the child's memory is taken down.
                return {"result": result[: -len(_WHOLE)].decode(), "log": _tail(self._log)}
            if not in_time:
                os.kill(self._pid, signal.SIGKILL)
            status = self.wait()
            return _failure(self._order, result if in_time else None, status, _tail(self._log))

    def _read_until(self, enough: Callable[[bytes], bool]) -> bool:
        """Reads until there is enough, or all of a result; False when the time is up before."""
        while not enough(self._read) and not self._read.lstrip(_WHOLE).endswith(_WHOLE):
            remaining_s = self._deadline - time.monotonic()
            if remaining_s <= 0 or not select.select([self._results], [], [], remaining_s)[0]:
                return False
            chunk = os.read(self._results, _CHUNK_BYTES)
            if not chunk:
                break
            self._read += chunk
        return True

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
    elsewhere = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        with os.fdopen(ordered, "rb") as orders:
            order = orders.read()
        if order:
            result = _carry_out(from_line(order), _Stages(writing, elsewhere))
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(json.dumps(result, separators=(",", ":")).encode() + _WHOLE)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        os._exit(code)


@dataclass(frozen=True)
class _Stages:
    """Tells the server how far a child has come."""

    writing: int
    #: cores that it may use when it has left the measured one; None where nothing is pinned
    elsewhere: set[int] | None

    def loaded(self) -> None:
        """The model is loaded."""
        os.write(self.writing, _WHOLE)

    def over(self) -> None:
        """No run follows: neither telling what they saw, nor giving memory back, takes the core."""
        if self.elsewhere is not None:
            os.sched_setaffinity(0, self.elsewhere)
        os.write(self.writing, _WHOLE)


def _carry_out(order: Order, stages: _Stages) -> dict[str, Any]:
    if isinstance(order, VisitOrder):
        return make_visit(order, stages.loaded, stages.over)
    return run_images(order, stages.loaded)


def _ending(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


if __name__ == "__main__":
    main()
