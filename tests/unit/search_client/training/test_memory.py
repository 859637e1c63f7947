"""Large blocks go back to the system when they are freed."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from search_client.training.memory import keep_large_blocks_apart
from tests.forked import processes

_BLOCKS, _BLOCK, _SMALL = 20, 5 * 2**20, 3 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
@pytest.mark.parametrize("told", [False, True])
def test_large_blocks_leave_no_holes(told: bool, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    process = processes.Process(target=_leave_holes, args=(told, answer))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    kept = int(answer.read_text())
    blocks = _BLOCKS * _BLOCK
    assert kept < blocks / 4 if told else kept > blocks / 2


def _leave_holes(told: bool, answer: Path) -> None:
    """Write how much the process holds more when large blocks between small ones are freed."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    if told:
        keep_large_blocks_apart()
    # Once freed, blocks of this size come from the heap next time.
    libc.free(libc.malloc(2 * _BLOCK))
    libc.malloc_trim(0)  # what earlier ones left is not theirs to fill
    before = _resident()
    large = []
    for _ in range(_BLOCKS):
        large.append(libc.malloc(_BLOCK))
        ctypes.memset(large[-1], 1, _BLOCK)
        libc.malloc(_SMALL)
    for block in large:
        libc.free(block)
    answer.write_text(str(_resident() - before))


def _resident() -> int:
    """What this process holds, bytes."""
    rows = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * next(int(row[1]) for row in rows if row[0] == "VmRSS:")
