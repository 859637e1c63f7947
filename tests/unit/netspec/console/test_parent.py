from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from netspec.console.parent import END_WITH_STDIN_VARIABLE, end_with_parent

CHILD = """
import os, signal, sys, time
from netspec.console.parent import end_with_parent
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended in order"))
end_with_parent()
print(os.environ.get("PROFILER_END_WITH_STDIN"), flush=True)
time.sleep(30)
"""


def start(**variables: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    assert process.stdout is not None
    # The wish is not passed on to children's children.
    assert process.stdout.readline() == "None\n"
    return process


def test_a_child_ends_in_order_when_its_stdin_does() -> None:
    with start(**{END_WITH_STDIN_VARIABLE: "1"}) as process:
        assert process.stdin is not None
        process.stdin.write("what is said to it is not heeded\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.stdin.close()
        assert process.wait(10) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "ended in order\n"


def test_who_is_not_asked_to_does_not() -> None:
    with start() as process:
        assert process.stdin is not None
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGKILL)


def test_the_wish_is_heeded_once() -> None:
    environment = {"OTHER": "1"}
    end_with_parent(environment)
    assert environment == {"OTHER": "1"}
