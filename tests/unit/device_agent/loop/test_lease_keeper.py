import threading
from dataclasses import dataclass, field

import httpx2
import pytest

from device_agent.loop.lease_keeper import LeaseKeeper, LeaseLost
from device_agent.loop.server import Link
from netspec.client.http import ProfilerHttp
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.wire import LeaseStatus
from tests.unit.device_agent.messages import lease

GONE = httpx2.Response(
    409,
    headers={"Content-Type": "application/problem+json"},
    json={"type": "/problems/lease-lost", "detail": "expired"},
)


@dataclass
class Server:
    """Answers renewals from a script; the last line repeats."""

    script: list[httpx2.Response | Exception]
    asked: int = 0
    exhausted: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/v1/leases/lease-1:renew"
        assert request.read() == b'{"fence":7}'
        answer = self.script[min(self.asked, len(self.script) - 1)]
        self.asked += 1
        if self.asked > len(self.script):
            self.exhausted.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def link(self) -> Link:
        transport = httpx2.MockTransport(self)
        return Link(ProfilerHttp("http://test", "t", transport=transport, retry_pauses_s=()))


def alive(*cancelled: str, ttl_s: float = 60.0) -> httpx2.Response:
    status = LeaseStatus(ttl_s=ttl_s, cancelled_task_ids=cancelled)
    return httpx2.Response(200, content=status.model_dump_json())


def test_renewals_bring_news_of_cancelled_tasks() -> None:
    server = Server([alive(), alive("b")])
    with LeaseKeeper(server.link(), lease({"a": 1}), renew_every_s=0.01) as keeper:
        assert keeper.held
        assert server.exhausted.wait(10)
        assert keeper.cancelled == {"b"}
    assert keeper.held


def test_the_first_renewal_must_succeed() -> None:
    with (
        pytest.raises(LeaseLost, match="gone before its first visit"),
        LeaseKeeper(Server([GONE]).link(), lease({"a": 1}), renew_every_s=60),
    ):
        raise AssertionError("a lost lease was used")
    with (
        pytest.raises(ProfilerUnreachable),
        LeaseKeeper(
            Server([httpx2.ConnectError("down")]).link(), lease({"a": 1}), renew_every_s=60
        ),
    ):
        raise AssertionError("an unconfirmed lease was used")


def test_other_refusals_are_told() -> None:
    with (
        pytest.raises(ProfilerRefused, match="500"),
        LeaseKeeper(Server([httpx2.Response(500)]).link(), lease({"a": 1}), renew_every_s=60),
    ):
        raise AssertionError("an unconfirmed lease was used")


def test_a_lease_that_is_refused_later_is_lost_for_good() -> None:
    server = Server([alive(), GONE])
    with LeaseKeeper(server.link(), lease({"a": 1}), renew_every_s=0.01) as keeper:
        keeper._thread.join(10)
        assert not keeper._thread.is_alive()
        assert not keeper.held
    assert server.asked == 2


def test_a_server_that_is_away_does_not_end_the_lease_before_its_time() -> None:
    now = [100.0]
    server = Server([alive(ttl_s=5.0), httpx2.ConnectError("down")])
    link = server.link()
    with LeaseKeeper(link, lease({"a": 1}), 0.01, clock=lambda: now[0]) as keeper:
        assert server.exhausted.wait(10)
        now[0] = 104.9
        assert keeper.held
        now[0] = 105.1
        assert not keeper.held
