"""Coroutines run without an event loop, so that one body serves blocking and asyncio callers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
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


def items(work: AsyncIterator[T]) -> Iterator[T]:
    """What an asynchronous iterator yields that waits for nothing but the calls it makes itself."""
    try:
        while True:
            try:
                item = finished(_next(work))
            except StopAsyncIteration:
                return
            yield item
    finally:
        if isinstance(work, AsyncGenerator):
            finished(work.aclose())


async def _next(work: AsyncIterator[T]) -> T:
    return await anext(work)
