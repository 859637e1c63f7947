from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import islice

import httpx2
import pytest

from netspec.client import AsyncProfilerClient, ProfilerClient, calls
from netspec.client.event_stream import EventReader
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.wire import Event, EventQuery
from tests.unit.netspec.client.service import URL, Service, problem


def sent(event_id: int, resume: int | None = None) -> str:
    event = {"id": event_id, "at": "2026-01-02T03:04:05Z", "kind": "job_created"}
    event |= {"job_id": None, "device_id": None, "data": {}}
    return f"event: job_created\ndata: {json.dumps(event)}\nid: {resume or event_id}\n\n"


def stream(*parts: str) -> httpx2.Response:
    return httpx2.Response(200, text="".join(("retry: 0\n\n", *parts)))


def follow(service: Service, most: int, query: EventQuery | None = None) -> list[int]:
    with ProfilerClient(URL, "t", transport=httpx2.MockTransport(service)) as client:
        return [event.id for event in islice(client.follow_events(query), most)]


def follow_in_a_loop(service: Service, most: int, query: EventQuery | None = None) -> list[int]:
    async def ask() -> list[int]:
        found: list[int] = []
        transport = httpx2.MockTransport(service)
        async with AsyncProfilerClient(URL, "t", transport=transport) as client:
            async for event in client.follow_events(query):
                found.append(event.id)
                if len(found) == most:
                    break
        return found

    return asyncio.run(ask())


both = pytest.mark.parametrize("following", [follow, follow_in_a_loop])


@both
def test_a_stream_that_breaks_goes_on_where_the_server_said(following: object) -> None:
    # Event 6 was passed over when 7 was seen, and comes late; what was told is not told again.
    cut = sent(9)[: -len("\n")]
    first = stream(sent(5), ": still here\n\n", sent(7, resume=5), cut)
    service = Service(first, stream(sent(7), sent(6), sent(8)))
    assert following(service, 4, EventQuery(kind=("job_created",))) == [5, 7, 6, 8]  # type: ignore[operator]
    one, other = service.requests
    assert one.url.query == b"kind=job_created"
    assert one.headers["Accept"] == "text/event-stream"
    assert "Last-Event-ID" not in one.headers
    assert other.headers["Last-Event-ID"] == "5"


@both
def test_a_profiler_that_is_gone_is_told_after_a_while(
    following: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_MOST_BREAKS", 2)
    failing = Service(stream(sent(1)), httpx2.ConnectError("refused"))
    with pytest.raises(ProfilerUnreachable):
        following(failing, 9)  # type: ignore[operator]
    assert len(failing.requests) == 4
    with pytest.raises(ProfilerRefused):
        following(Service(problem(401, "invalid-token", "x")), 1)  # type: ignore[operator]


def test_lines_of_every_kind_are_read() -> None:
    reader = EventReader(after=3)
    assert reader.headers["Last-Event-ID"] == "3"

    def events(text: str) -> Iterator[Event]:
        for line in text.split("\n"):
            event = reader.read(line)
            if event is not None:
                yield event

    whole = sent(4).replace("data: ", "data:").replace('"kind"', '\ndata:"kind"', 1)
    assert [event.id for event in events(f"id\n:\nunknown: x\nretry: x\n\n{whole}")] == [4]
    assert reader.headers["Last-Event-ID"] == "4"
