"""Devices that ask at the same time are looked up together.

After an outage every agent asks at once. A question a device would keep the threads busy with the
last ones while the first ones could work already.
"""

from __future__ import annotations

import asyncio
from itertools import islice

from fastapi.concurrency import run_in_threadpool

from profiler_server.kit.sql.database import Database
from profiler_server.leases import repository
from profiler_server.leases.repository import Standing

#: devices of one question
_AT_ONCE = 250


class Arrivals:
    """The devices of this process whose standing is asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: dict[str, list[asyncio.Future[Standing | None]]] = {}
        self._answering: asyncio.Task[None] | None = None

    async def standing(self, device_id: str) -> Standing | None:
        """How a device stands; None if there is no such device."""
        answer: asyncio.Future[Standing | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(device_id, []).append(answer)
        if self._answering is None:
            self._answering = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        while self._asked:
            asked = {one: self._asked.pop(one) for one in list(islice(self._asked, _AT_ONCE))}
            try:
                found = await run_in_threadpool(self._read, list(asked))
            except Exception as error:  # noqa: BLE001 - whoever asked gets it
                for answer in _unanswered(asked):
                    answer.set_exception(error)
                continue
            for device_id, answers in asked.items():
                for answer in _unanswered({device_id: answers}):
                    answer.set_result(found.get(device_id))
        self._answering = None

    def _read(self, device_ids: list[str]) -> dict[str, Standing]:
        with self._database.read() as session:
            return repository.standings(session, device_ids)


def _unanswered(
    asked: dict[str, list[asyncio.Future[Standing | None]]],
) -> list[asyncio.Future[Standing | None]]:
    """The questions of those who have not hung up."""
    return [answer for answers in asked.values() for answer in answers if not answer.done()]
