"""Memory of a process that trains on its processor."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from functools import cache

#: glibc's malloc.h: when it trims its heap, and how many blocks it may keep apart from it
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what is freed, in huge pages, for as long as the process lives.

    Each step of a training allocates and frees the same gigabytes. Left alone, glibc gives large
    blocks back to the system, which hands them out again page by page, emptied: a fifth to half
    of a step on a processor. Half of the machine's memory is reserved as addresses for that heap;
    what is not used takes none. With other C libraries nothing changes.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    page = mmap.PAGESIZE
    reserved = os.sysconf("SC_PHYS_PAGES") // 2 * page
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(reserved)
    if block:  # where addresses are limited the heap grows as it did, in small pages
        first = -(-block // page) * page
        libc.madvise(first, (block + reserved - first) // page * page, mmap.MADV_HUGEPAGE)
        libc.free(block)
