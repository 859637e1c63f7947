import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from device_agent.loop import uploader
from device_agent.loop.server import Link
from device_agent.loop.uploader import Uploader
from device_agent.measuring.spool import Spool
from netspec.client.http import ProfilerHttp
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from tests.unit.device_agent.messages import visit


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool.db") as opened:
        yield opened


def link_to(handle: Callable[[httpx2.Request], httpx2.Response]) -> Link:
    transport = httpx2.MockTransport(handle)
    return Link(ProfilerHttp("http://test", "t", transport=transport, retry_pauses_s=()))


def ids_in(request: httpx2.Request) -> list[str]:
    return [one["id"] for one in json.loads(request.read())["visits"]]


def receipts(states: dict[str, str]) -> httpx2.Response:
    return httpx2.Response(
        200, json={"receipts": [{"id": key, "state": state} for key, state in states.items()]}
    )


def test_what_the_server_has_leaves_the_spool_and_what_it_has_not_is_kept_aside(
    spool: Spool,
) -> None:
    states = ["stored", "duplicate", "conflict", "unknown"]
    for number in range(5):
        spool.append(visit(UUID(int=number)))

    def answer(request: httpx2.Request) -> httpx2.Response:
        return receipts(dict(zip(ids_in(request), states, strict=False)))

    Uploader(spool, link_to(answer)).upload()
    assert spool.waiting() == 0
    assert spool.refused() == [
        (UUID(int=2), "the profiler holds another visit under this id"),
        (UUID(int=3), "the profiler does not know the visit's device, target or subject"),
        (UUID(int=4), "the profiler gave no receipt"),
    ]


def test_a_visit_that_the_server_cannot_take_does_not_hold_up_the_others(spool: Spool) -> None:
    poison = UUID(int=3)
    for number in range(7):
        spool.append(visit(UUID(int=number)))
    stored: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        ids = ids_in(request)
        if str(poison) in ids:
            return httpx2.Response(422)
        stored.extend(ids)
        return receipts(dict.fromkeys(ids, "stored"))

    Uploader(spool, link_to(answer)).upload()
    assert len(stored) == len(set(stored)) == 6
    assert [visit_id for visit_id, _ in spool.refused()] == [poison]
    assert spool.waiting() == 0


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 503])
def test_what_blames_the_moment_keeps_the_visits(spool: Spool, status: int) -> None:
    spool.append(visit())
    with pytest.raises(ProfilerRefused):
        Uploader(spool, link_to(lambda _: httpx2.Response(status))).upload()
    assert spool.waiting() == 1


def test_a_server_that_is_away_keeps_the_visits(spool: Spool) -> None:
    def away(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("down")

    spool.append(visit())
    with pytest.raises(ProfilerUnreachable):
        Uploader(spool, link_to(away)).upload()
    assert spool.waiting() == 1


def test_large_spools_go_in_parts(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader, "BATCH", 2)
    sizes: list[int] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        ids = ids_in(request)
        sizes.append(len(ids))
        return receipts(dict.fromkeys(ids, "stored"))

    for _ in range(5):
        spool.append(visit())
    Uploader(spool, link_to(answer)).upload()
    assert sizes == [2, 2, 1]


def test_the_thread_uploads_at_intervals_and_gets_over_failures(spool: Spool) -> None:
    seen = threading.Event()
    script = iter([503, 503])

    def answer(request: httpx2.Request) -> httpx2.Response:
        if status := next(script, None):
            return httpx2.Response(status)
        seen.set()
        return receipts(dict.fromkeys(ids_in(request), "stored"))

    spool.append(visit())
    with Uploader(spool, link_to(answer), every_s=0.01):
        assert seen.wait(10)
    assert spool.waiting() == 0
