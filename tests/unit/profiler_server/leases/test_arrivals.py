"""Devices that ask at once share a question, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import pytest

from profiler_server.kit.sql.database import Database
from profiler_server.leases.arrivals import Arrivals
from profiler_server.leases.repository import Standing

DEVICES = 600


class Recorded(Arrivals):
    """Answers with the device's own name, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(cast("Database", None))
        self.questions: list[list[str]] = []
        self.fails = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def _read(self, device_ids: list[str]) -> dict[str, Standing]:
        self.may_answer.wait(10)
        self.questions.append(device_ids)
        if self.fails:
            raise ZeroDivisionError
        known = (one for one in device_ids if one != "unknown")
        return {one: cast("Standing", f"of {one}") for one in known}


async def standing(arrivals: Arrivals, device_id: str) -> object:
    return await arrivals.standing(device_id)


def test_all_that_ask_at_once_are_answered_in_few_questions() -> None:
    async def ask() -> None:
        arrivals = Recorded()
        names = [f"device {number}" for number in range(DEVICES)]
        answers = await asyncio.gather(
            *(standing(arrivals, one) for one in (*names, *names[:5], "unknown"))
        )
        assert answers == [f"of {name}" for name in (*names, *names[:5])] + [None]
        assert len(arrivals.questions) <= 4
        assert sorted(one for asked in arrivals.questions for one in asked) == sorted(
            [*names, "unknown"]
        )
        # And whoever comes later is asked for anew.
        assert await standing(arrivals, names[0]) == f"of {names[0]}"

    asyncio.run(ask())


def test_a_failure_reaches_everybody_who_asked_and_nobody_later() -> None:
    async def ask() -> None:
        arrivals = Recorded()
        arrivals.fails = True
        answers = await asyncio.gather(
            *(arrivals.standing(str(number)) for number in range(3)), return_exceptions=True
        )
        assert [type(one) for one in answers] == [ZeroDivisionError] * 3
        arrivals.fails = False
        assert await standing(arrivals, "x") == "of x"

    asyncio.run(ask())


def test_who_hangs_up_takes_nobody_along() -> None:
    async def ask() -> None:
        arrivals = Recorded()
        arrivals.may_answer.clear()
        gone, stays = (asyncio.create_task(standing(arrivals, "x")) for _ in range(2))
        await asyncio.sleep(0.05)
        gone.cancel()
        arrivals.may_answer.set()
        assert await stays == "of x"
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(ask())
