from __future__ import annotations

import asyncio

import pytest

from netspec.client.blocking import finished


async def doubled(number: int) -> int:
    return 2 * number


async def nested(number: int) -> int:
    return await doubled(number) + await doubled(1)


async def failing() -> None:
    await doubled(1)
    raise ValueError("no")


def test_a_coroutine_that_waits_for_nobody_is_run_to_its_end() -> None:
    assert finished(nested(3)) == 8


def test_its_error_is_raised() -> None:
    with pytest.raises(ValueError, match=r"^no$"):
        finished(failing())


def test_one_that_waits_for_an_event_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        finished(asyncio.sleep(0))
