"""What it costs the server that many look at its farm while that changes."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select, update

from benchmarks.dashboard_load import session as dashboard
from benchmarks.server_load.load import request
from benchmarks.server_load.machine import Service
from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.sql.database import Database, database_now

#: of the devices of the first page, how many come or go each second
_CHANGE = 20
_A_PAGE = 100
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_READ_BYTES = 2**16


def sse_cpu_percent(served: Service, open_pages: int, seconds: float) -> float:
    """The share of a core that the server's process spends on open farm pages, in percent.

    Devices come and go meanwhile, by another process's hand, so that there is something to tell.
    The first seconds, in which every page gets all of its parts, do not count.
    """
    cookie = dashboard.cookie(served)
    asked = request(
        served.url,
        "GET",
        "/dashboard/live",
        headers={"Cookie": cookie, "Accept": "text/event-stream"},
    )
    with (
        _streams(served, asked, open_pages) as streams,
        closing(Database(served.database_url)) as database,
    ):
        _watch(streams, database, min(5.0, seconds))
        before, began = _cpu_s(served), time.monotonic()
        received = _watch(streams, database, seconds)
        spent, took = _cpu_s(served) - before, time.monotonic() - began
    if any(not number for number in received):
        raise RuntimeError(f"{received.count(0)} of {open_pages} pages were told of nothing")
    return 100 * spent / took


@contextmanager
def _streams(served: Service, asked: bytes, count: int) -> Iterator[list[socket.socket]]:
    address = urlsplit(served.url)
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            stream = socket.create_connection((address.hostname or "", address.port or 80))
            stack.enter_context(stream)
            stream.sendall(asked)
            opened.append(stream)
        yield opened


def _watch(streams: list[socket.socket], database: Database, seconds: float) -> list[int]:
    """Reads all streams for so long; the bytes that each has brought."""
    received = dict.fromkeys(streams, 0)
    until, next_change = time.monotonic() + seconds, 0.0
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ, stream)
        number = 0
        while (now := time.monotonic()) < until:
            if now >= next_change:
                next_change = now + 1.0
                _change(database, number)
                number += 1
            for key, _ in selector.select(0.1):
                content = key.data.recv(_READ_BYTES)
                if not content:
                    raise RuntimeError("the server has ended a stream")
                received[key.data] += len(content)
    return [received[stream] for stream in streams]


def _change(database: Database, number: int) -> None:
    """Lets some devices of the first page be heard, and the others of the last time fall silent."""
    with database.write() as session:
        now = database_now(session)
        first = select(DeviceRow.id).order_by(DeviceRow.agent, DeviceRow.serial).limit(_A_PAGE)
        ids = list(session.scalars(first))
        start = number * _CHANGE % len(ids)
        heard = ids[start : start + _CHANGE]
        session.execute(update(DeviceRow).where(DeviceRow.id.in_(ids)).values(heard_until=now))
        later = now + timedelta(minutes=1)
        session.execute(update(DeviceRow).where(DeviceRow.id.in_(heard)).values(heard_until=later))


def _cpu_s(served: Service) -> float:
    """Seconds of processor time that the server's process has had."""
    line = Path(f"/proc/{served.replicas[0].pid}/stat").read_text(encoding="ascii")
    fields = line.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
