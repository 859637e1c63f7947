"""A process with LiteRT loaded that forks one child a visit.

Started by `litert.LiteRtRunner` as `python -m device_agent.runners.fork_server`. One JSON object
a line: visit orders on stdin, answers on stdout. It holds one thread and no socket, so a
child inherits neither. It ends when stdin does, so it never outlives its agent.
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
from typing import BinaryIO

from device_agent.printed import printed
from device_agent.runners.timed_runs import make_visit
from device_agent.runners.visit_order import VisitOrder

#: bytes of a dead child's last words that the answer carries
_LOG_TAIL_BYTES = 2_000
_CHUNK_BYTES = 1 << 16
#: ends a whole result
_WHOLE = b"\n"


def main() -> None:
    """Serves visit orders until stdin ends."""
    # Whatever native code prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.collect()
    gc.freeze()
    _answer(answers, {"ready": True})
    for line in sys.stdin.buffer:
        _visit_in_child(VisitOrder(**json.loads(line)), answers)


def _answer(answers: BinaryIO, answer: dict[str, object]) -> None:
    answers.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    answers.flush()


def _visit_in_child(order: VisitOrder, answers: BinaryIO) -> None:
    """Makes a visit in a child, and answers as soon as it is known how it ended."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            # Held open, it would hide this server's death from the agent.
            os.close(answers.fileno())
            _be_the_child(order, writing, log)
        os.close(writing)
        result = _read_all(reading, time.monotonic() + order.timeout_s)
        os.close(reading)
        if result is not None and result.endswith(_WHOLE):
            # The agent can go on with it while the child's memory is taken down.
            said: dict[str, object] = {"result": result[: -len(_WHOLE)].decode(), "log": _tail(log)}
            _answer(answers, said)
            os.waitpid(child, 0)
            return
        if result is None:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        _answer(answers, _failure(order, result, status, _tail(log)))


def _failure(order: VisitOrder, result: bytes | None, status: int, said: str) -> dict[str, object]:
    if result is None:
        message = f"the visit took longer than {order.timeout_s:g} s and was stopped"
        return {"error": "VisitTimedOut", "message": message}
    ending = _ending(os.waitstatus_to_exitcode(status))
    message = f"the process that made the visit {ending}" + (f"; it said: {said}" if said else "")
    return {"error": "RunnerFailed", "message": message}


def _tail(log: BinaryIO) -> str:
    """The child's last words."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
    return printed(log.read()).strip()


def _be_the_child(order: VisitOrder, writing: int, log: BinaryIO) -> None:
    """Makes the visit and ends this process; never returns into the server's loop."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        result = json.dumps(make_visit(order), separators=(",", ":")).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(result + _WHOLE)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        os._exit(code)


def _read_all(reading: int, deadline: float) -> bytes | None:
    """What the child wrote until it closed the pipe, None when the deadline passed first."""
    chunks: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return None
        chunk = os.read(reading, _CHUNK_BYTES)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _ending(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


if __name__ == "__main__":
    main()
