"""Coroutines run without an event loop, so that one body serves blocking and asyncio callers."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing but the calls it makes itself.

    Raises:
        RuntimeError: it waits for an event loop.
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("the coroutine waits for an event loop, and there is none here")
