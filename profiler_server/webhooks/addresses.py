"""Where webhooks may be sent: to the public internet, and to networks that the settings name.

Without that, whoever may make a webhook could have the server ask what only it can reach: a cloud's
metadata, a database's console. A name is looked up for each attempt, and what it stands for is
checked and then connected to, so that it cannot stand for something else in between.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx2

from profiler_server.kit.networks import Address, Network, is_in
from profiler_server.kit.problems import Problem

_SETTING = "PROFILER_WEBHOOK_NETWORKS"
#: IPv4 addresses within IPv6 ones. Source: RFC 6052
_NAT64 = ip_network("64:ff9b::/96")


class ForbiddenAddress(Exception):
    """Nothing is sent there."""


def check_url(url: str, allowed: tuple[Network, ...]) -> None:
    """Refuses an address that nothing would ever be sent to; names are looked up later.

    Raises:
        Problem: `invalid-request`.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise _refused(f"it is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _refused("expected https://HOST/PATH")
    if parsed.userinfo or parsed.fragment:
        raise _refused("expected no user, password or fragment: the signature says who sends it")
    if parsed.scheme == "http" and not allowed:
        raise _refused(f"expected https; plain http is for the networks that {_SETTING} names")
    try:
        address = ip_address(parsed.host)
    except ValueError:
        return
    try:
        check_address(address, parsed.scheme, allowed)
    except ForbiddenAddress as error:
        raise _refused(str(error)) from error


def check_address(address: Address, scheme: str, allowed: tuple[Network, ...]) -> None:
    """Refuses an address.

    Args:
        address: to connect to.
        scheme: `http` or `https`.
        allowed: networks that the settings name.

    Raises:
        ForbiddenAddress: it is in none of them, and private, or to be asked by plain http.
    """
    if is_in(address, allowed):
        return
    if scheme != "https":
        raise ForbiddenAddress(
            f"{address} is in none of the networks of {_SETTING}: expected https"
        )
    inner = _inner(address)
    if not inner.is_global or inner.is_multicast:
        raise ForbiddenAddress(
            f"{address} is not of the public internet, and in none of the networks of {_SETTING}"
        )


async def resolved(url: httpx2.URL, allowed: tuple[Network, ...]) -> list[Address]:
    """The addresses that a URL's host stands for now, each of which may be connected to.

    Raises:
        ForbiddenAddress: one of them may not.
        OSError: the name is not known.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        url.host, url.port or _PORTS[url.scheme], type=socket.SOCK_STREAM
    )
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    for address in addresses:
        check_address(address, url.scheme, allowed)
    return addresses


_PORTS = {"http": 80, "https": 443}


def _inner(address: Address) -> Address:
    """What an address leads to that has another one within it."""
    if isinstance(address, IPv4Address):
        return address
    within = address.ipv4_mapped or address.sixtofour
    if within is None and address in _NAT64:
        within = IPv4Address(int(address) & 0xFFFF_FFFF)
    if within is None and isinstance(address, IPv6Address) and address.teredo:
        within = address.teredo[1]
    return within or address


def _refused(why: str) -> Problem:
    return Problem("invalid-request", f"body.url: {why}")
