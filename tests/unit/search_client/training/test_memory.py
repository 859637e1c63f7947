"""A process that trains keeps the memory it has freed, however large the blocks."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: takes and frees large blocks, as steps do; the page faults of all but the first step, a MiB
_STEPS = """
import ctypes, resource
from search_client.training.memory import keep_freed_memory

libc = ctypes.CDLL(None)
if {told}:
    keep_freed_memory()
    keep_freed_memory()
libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def step():
    blocks = [libc.malloc(mib << 20) for mib in {mib}]
    for block, mib in zip(blocks, {mib}):
        ctypes.memset(block, 1, mib << 20)
    for block in blocks:
        libc.free(block)

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults / (10 * sum({mib})))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
@pytest.mark.parametrize("mib", [(40,), (1, 5, 70, 3)], ids=str)
def test_freed_memory_is_kept_for_the_next_step(mib: tuple[int, ...]) -> None:
    assert _faults(mib, told=False) > 100  # of 256 pages a MiB
    assert _faults(mib, told=True) < 1


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_where_addresses_are_short_blocks_are_kept_all_the_same() -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
    assert _faults((40,), told=True, first=limit) < 1


def _faults(mib: tuple[int, ...], *, told: bool, first: str = "") -> float:
    code = first + _STEPS.format(told=told, mib=mib)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    return float(done.stdout)
