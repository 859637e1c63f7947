"""Many agents that wait for work at two replicas: is a task ever lost or given out twice?

Jobs of a few operators are filed at a steady rate, spread over the targets. An agent asks for
work with the longest wait there is; with a lease it "measures" for some seconds, uploads one
visit a task, hands the lease back, and asks again. A claim's time runs from the moment when the
agent was asking and the first of the lease's tasks was filed (its job's answer had arrived) to
the arrival of the lease. At the start all agents ask at once; the claims of this rush are kept
apart.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.server_load import tables
from benchmarks.server_load.load import request
from benchmarks.server_load.machine import Service, service
from netspec.client.http import ProfilerHttp
from netspec.wire import (
    MAX_WAIT_S,
    Job,
    JobRequest,
    Lease,
    LeaseRelease,
    LeaseRequest,
    RegisteredDevice,
    TaskOutcome,
    VisitBatch,
)

_MODELS = 25
_OPERATORS_PER_JOB = 4
#: for so long (s) after the start claims belong to the rush
_RUSH_S = 3.0
#: how long (s) the last claims may take once no more is filed
_DRAIN_S = 60.0


@dataclass
class Book:
    """What was filed and what was claimed."""

    #: when the job's answer arrived, by subject
    filed_at: dict[str, float] = field(default_factory=dict)
    claimed: Counter[str] = field(default_factory=Counter)
    #: when the agents began to ask
    started_at: float = field(default_factory=time.perf_counter)
    #: of claims that began in the rush, and of those that began later
    rush_s: list[float] = field(default_factory=list)
    claims_s: list[float] = field(default_factory=list)
    #: fewer when the server could not keep up
    jobs: int = 0
    uploaded: int = 0
    #: everything is filed
    closed: bool = False
    #: and uploaded
    drained: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def lost(self) -> int:
        """Tasks that no agent got."""
        return len(self.filed_at) - len(self.claimed)

    @property
    def doubled(self) -> int:
        """Tasks that were given out more than once."""
        return sum(times > 1 for times in self.claimed.values())


def poll(
    *, agents: int, jobs_per_s: float, seconds: float, measures_s: tuple[float, float]
) -> Book:
    """Lets the agents wait and work while jobs are filed for so many seconds.

    An agent measures for between the two numbers of `measures_s` seconds.
    """
    with service("postgresql", replicas=2) as served:
        with ProfilerHttp(served.url, served.token) as http:
            devices = [
                tables.register(http, number, f"model {number % _MODELS}")
                for number in range(agents)
            ]
        return asyncio.run(_run(served, devices, jobs_per_s, seconds, measures_s))


async def _run(
    served: Service,
    devices: list[RegisteredDevice],
    jobs_per_s: float,
    seconds: float,
    measures_s: tuple[float, float],
) -> Book:
    book = Book()
    urls = [replica.url for replica in served.replicas]
    agents = [
        asyncio.create_task(
            _Agent(served, urls[number % len(urls)], device, book, measures_s).work()
        )
        for number, device in enumerate(devices)
    ]
    filing = asyncio.create_task(_file(served, devices, book, jobs_per_s, seconds))
    done, _ = await asyncio.wait([filing, *agents], return_when=asyncio.FIRST_COMPLETED)
    # An agent only ends by an error.
    for task in done:
        task.result()
    # What is not claimed by then counts as lost.
    with suppress(TimeoutError):
        await asyncio.wait_for(book.drained.wait(), _DRAIN_S)
    for agent in agents:
        agent.cancel()
    for outcome in await asyncio.gather(*agents, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return book


async def _file(
    served: Service, devices: list[RegisteredDevice], book: Book, jobs_per_s: float, seconds: float
) -> None:
    count = round(jobs_per_s * seconds)
    wanted = tables.operators(count * _OPERATORS_PER_JOB)
    start = book.started_at
    for number in range(count):
        ahead_s = start + number / jobs_per_s - time.perf_counter()
        await asyncio.sleep(max(0.0, ahead_s))
        # A server that cannot keep up gets fewer jobs.
        if time.perf_counter() - start > seconds:
            break
        part = wanted[number * _OPERATORS_PER_JOB :][:_OPERATORS_PER_JOB]
        target_id = devices[number % _MODELS].target_ids[0]
        job = JobRequest(name="load", target_id=target_id, operators=part, rounds=1)
        async with _talk(served.replicas[number % len(served.replicas)].url) as talk:
            _, answer = await talk.ask(served, "/v1/jobs", job.model_dump_json())
        now = time.perf_counter()
        if Job.model_validate_json(answer).tasks != len(part):
            raise RuntimeError(f"the job has other tasks: {answer!r}")
        book.jobs += 1
        book.filed_at.update({one.content_hash: now for one in part})
    book.closed = True


class _Agent:
    def __init__(
        self,
        served: Service,
        url: str,
        device: RegisteredDevice,
        book: Book,
        measures_s: tuple[float, float],
    ) -> None:
        self._served = served
        self._url = url
        self._device = device
        self._book = book
        self._measures_s = measures_s
        self._chance = random.Random(device.id)  # noqa: S311 - a load, no secret

    async def work(self) -> None:
        """Claims and uploads until cancelled."""
        while True:
            lease = await self._claim()
            await asyncio.sleep(self._chance.uniform(*self._measures_s))
            await self._upload(lease)

    async def _claim(self) -> Lease:
        ask = LeaseRequest(
            device_id=self._device.id, max_tasks=_OPERATORS_PER_JOB, wait_s=MAX_WAIT_S
        ).model_dump_json()
        async with _talk(self._url) as talk:
            while True:
                asked_at = time.perf_counter()
                status, answer = await talk.ask(self._served, "/v1/leases", ask)
                if status == 200:
                    now = time.perf_counter()
                    lease = Lease.model_validate_json(answer)
                    self._note(lease, asked_at, now)
                    return lease

    def _note(self, lease: Lease, asked_at: float, now: float) -> None:
        subjects = [task.subject.content_hash for task in lease.tasks]
        # Absent: the lease has overtaken the answer to its job.
        filed_at = min(self._book.filed_at.get(one, now) for one in subjects)
        self._book.claimed.update(subjects)
        began_at = max(asked_at, filed_at)
        in_rush = began_at < self._book.started_at + _RUSH_S
        (self._book.rush_s if in_rush else self._book.claims_s).append(now - began_at)

    async def _upload(self, lease: Lease) -> None:
        visits = tuple(tables.visit(self._device, lease, task, 0) for task in lease.tasks)
        batch = VisitBatch(visits=visits).model_dump_json()
        done = tuple(TaskOutcome(task_id=task.task_id, state="done") for task in lease.tasks)
        released = LeaseRelease(fence=lease.fence, outcomes=done).model_dump_json()
        # Another connection: the server has closed the one that was idle for so long.
        async with _talk(self._url) as talk:
            await talk.ask(self._served, "/v1/visits:batch", batch)
            await talk.ask(self._served, f"/v1/leases/{lease.id}:release", released)
        self._book.uploaded += len(visits)
        if self._book.closed and self._book.uploaded == len(self._book.filed_at):
            self._book.drained.set()


class _Talk:
    """One connection, one POST after the other."""

    def __init__(
        self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._url = url
        self._reader = reader
        self._writer = writer

    async def ask(self, served: Service, path: str, body: str) -> tuple[int, bytes]:
        """Status and body of the answer, which must be a success."""
        self._writer.write(request(self._url, "POST", path, body.encode(), served.headers))
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        content = await self._reader.readexactly(lengths[0]) if lengths else b""
        if status >= 300:
            raise RuntimeError(f"POST {path}: {status} {content[:500]!r}")
        return status, content


@asynccontextmanager
async def _talk(url: str) -> AsyncIterator[_Talk]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield _Talk(url, reader, writer)
    finally:
        writer.close()
