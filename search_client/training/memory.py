"""Memory of a process that trains on more images than fit into it."""

from __future__ import annotations

import ctypes

#: `M_MMAP_THRESHOLD` of glibc's malloc.h, and the size from which on blocks are kept apart, bytes
_THRESHOLD, _LARGE = -3, 4 * 2**20


def keep_large_blocks_apart() -> None:
    """Have the C library give large blocks back to the system as soon as they are freed.

    Otherwise they leave holes in its heap, which becomes longer by those that nothing fits into.
    Each block costs page faults: 1 to 8 % of a step, most where batches are large. Only glibc can
    be told so; with other libraries nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_THRESHOLD, _LARGE)
