"""Whose request it is that a proxy passes on: only proxies that the settings name are believed.

Each proxy adds whom it speaks to at the end, so the list is read from there: what stands before the
first address that is no proxy of ours was written by strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from profiler_server.kit.networks import Address, Network, is_in

#: proxies in a row that are looked at
_MOST_HOPS = 16
_SCHEMES = frozenset({"http", "https"})
#: a pair of a `Forwarded` header. Source: RFC 7239, section 4
_PAIR = re.compile(r'\s*(for|proto)\s*=\s*("[^"\\]*"|[^\s;,"]+)\s*', re.IGNORECASE)


class TrustedProxies:
    """ASGI middleware that puts the client's address in the place of a trusted proxy's.

    Args:
        app: what answers.
        trusted: addresses of proxies that say the truth about their clients.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if self._trusted and scope["type"] == "http":
            peer = _address(scope["client"][0]) if scope.get("client") else None
            if peer is not None and is_in(peer, self._trusted):
                scope = {**scope, **self._said(scope["headers"], peer)}
        await self._app(scope, receive, send)

    def _said(self, headers: Sequence[tuple[bytes, bytes]], peer: Address) -> dict[str, object]:
        """What a trusted proxy's headers say in the place of what the connection does."""
        listed = _values(headers, b"x-forwarded-for")
        pairs = [dict(_pairs(element)) for element in _values(headers, b"forwarded")]
        by_list = self._client(listed, peer)
        by_pairs = self._client([one.get("for", "") for one in pairs], peer)
        if listed and pairs and by_list != by_pairs:
            # Proxies write one of the two and may let the other pass, which anybody can write.
            return {}
        protocols = _values(headers, b"x-forwarded-proto") or [
            one.get("proto", "") for one in pairs
        ]
        said: dict[str, object] = {"client": (str(by_list if listed else by_pairs), 0)}
        if protocols and (scheme := protocols[-1].lower()) in _SCHEMES:
            said["scheme"] = scheme
        return said

    def _client(self, hops: Sequence[str], peer: Address) -> Address:
        """The last address that is none of a trusted proxy; of what cannot be read, who said it."""
        found = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _address(hop)
            if address is None:
                return found
            found = address
            if not is_in(address, self._trusted):
                return found
        return found


def _values(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    values = [value.decode("latin-1") for name, value in headers if name == wanted]
    return [one.strip() for value in values for one in value.split(",") if one.strip()]


def _pairs(element: str) -> Iterator[tuple[str, str]]:
    for part in element.split(";"):
        if found := _PAIR.fullmatch(part):
            yield found[1].lower(), found[2].strip('"')


def _address(text: str) -> Address | None:
    """An address, without the port that may follow it; None: it is none."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
