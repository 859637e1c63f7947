"""Whose request it is: headers of trusted proxies are believed, those of anybody else are not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import TypeAdapter
from starlette.types import Message, Receive, Scope, Send

from profiler_server.kit.http.proxies import TrustedProxies
from profiler_server.kit.networks import Networks

PROXIES = TypeAdapter(Networks).validate_python("10.0.0.0/8, 2001:db8::1")


def passed_on(peer: str, *headers: tuple[str, str], trusted: Any = PROXIES) -> tuple[str, str]:
    """Address and scheme that the application gets to see."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 4_711),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }
    asyncio.run(TrustedProxies(app, trusted)(scope, receive, send))
    return seen[0]["client"][0], seen[0]["scheme"]


def client(peer: str, *headers: tuple[str, str], trusted: Any = PROXIES) -> str:
    return passed_on(peer, *headers, trusted=trusted)[0]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded"])
@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db8::2", "::ffff:192.0.2.1", "11.0.0.1"])
def test_strangers_are_not_believed(name: str, peer: str) -> None:
    value = "for=203.0.113.9" if name == "Forwarded" else "203.0.113.9"
    said = ((name, value), ("X-Forwarded-Proto", "https"))
    assert passed_on(peer, *said) == (peer, "http")
    assert passed_on(peer, *said, trusted=()) == (peer, "http")


@pytest.mark.parametrize(
    ("hops", "address"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["2001:db8::9"], "2001:db8::9"),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        # Proxies in a row, and what a client has written before them.
        (["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9, 10.0.0.2, 10.0.0.3"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        (["10.0.0.99, 203.0.113.9"], "203.0.113.9"),
        # Only proxies: who began is one.
        (["10.0.0.4, 10.0.0.3"], "10.0.0.4"),
        # What cannot be read is nobody: who has passed it on remains.
        (["nonsense"], "10.0.0.1"),
        (["203.0.113.9, nonsense, 10.0.0.2"], "10.0.0.2"),
        ([""], "10.0.0.1"),
        ([", ,"], "10.0.0.1"),
        (["1.2.3.4\xff"], "10.0.0.1"),
        ([", ".join(["203.0.113.9"] + ["10.0.0.2"] * 100_000)], "10.0.0.2"),
    ],
)
def test_a_trusted_proxys_list_is_read_from_its_end(hops: Sequence[str], address: str) -> None:
    assert client("10.0.0.1", *(("X-Forwarded-For", hop) for hop in hops)) == address


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('For="203.0.113.9:4711";proto=https;by=10.0.0.1', "203.0.113.9"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ("for=198.51.100.1, for=203.0.113.9;proto=https, for=10.0.0.2", "203.0.113.9"),
        ("for=unknown", "10.0.0.1"),
        ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("proto=https", "10.0.0.1"),
        ('for="203.0.113.9', "10.0.0.1"),
    ],
)
def test_forwarded_is_read_likewise(value: str, address: str) -> None:
    assert client("10.0.0.1", ("Forwarded", value)) == address


def test_where_the_two_contradict_each_other_neither_is_believed() -> None:
    one, other = ("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=198.51.100.1")
    assert client("10.0.0.1", one, other) == "10.0.0.1"
    assert client("10.0.0.1", one, ("Forwarded", "for=203.0.113.9")) == "203.0.113.9"


def test_the_scheme_is_the_proxys() -> None:
    hop = ("X-Forwarded-For", "203.0.113.9")
    assert passed_on("10.0.0.1", hop, ("X-Forwarded-Proto", "https"))[1] == "https"
    assert passed_on("10.0.0.1", hop, ("X-Forwarded-Proto", "gopher"))[1] == "http"
    assert passed_on("10.0.0.1", ("Forwarded", "for=203.0.113.9;proto=https"))[1] == "https"
    assert passed_on("2001:db8::1", hop)[0] == "203.0.113.9"
    assert passed_on("::ffff:10.0.0.1", hop)[0] == "203.0.113.9"
