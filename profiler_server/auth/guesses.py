"""Tokens that are not valid cost a query each: one address may try so many."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from weakref import WeakValueDictionary

from profiler_server.auth.rate_limit import RateLimit
from profiler_server.kit.http.caching import BriefCache
from profiler_server.kit.problems import Problem

#: tokens that an address may try a second in the long run, and at once
_PER_S, _AT_ONCE = 1.0, 100
#: for so long (s) a token that was valid is no guess, whoever else has its address
_NO_GUESS_S = 24 * 3_600.0
#: tokens of an address that are checked at a time: so many more than `_AT_ONCE` may be tried
_CHECKED_AT_ONCE = 16
#: bits of an IPv6 address that its owner does not choose
_IPV6_PREFIX = 64


class TokenGuesses:
    """What each address has tried of late."""

    def __init__(self) -> None:
        self._tried = RateLimit(_PER_S, _AT_ONCE)
        self._were_valid: BriefCache[str, bool] = BriefCache(_NO_GUESS_S)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def turn(self, address: str) -> asyncio.Semaphore:
        """What an address waits for before it has a token checked: a few are at a time.

        A thousand agents behind one address come back at once after an outage. None of their tokens
        is a guess, and none may be refused only because the others are not checked yet.
        """
        network = _network(address)
        turns = self._turns.get(network)
        if turns is None:
            turns = self._turns[network] = asyncio.Semaphore(_CHECKED_AT_ONCE)
        return turns

    def begin(self, token: str, address: str) -> None:
        """Refuses a token that is about to be checked, where too many were not valid.

        Raises:
            Problem: `rate-limited`.
        """
        if self._were_valid.get(token):
            return
        allowance = self._tried.peek(_network(address))
        if not allowance.allowed:
            raise Problem(
                "rate-limited",
                f"{_AT_ONCE} tokens from {address} were not valid; wait {allowance.wait_s} s",
                headers={"Retry-After": str(allowance.wait_s)},
            )

    def fail(self, token: str, address: str) -> None:
        """Counts a token that is not valid."""
        if not self._were_valid.get(token):
            self._tried.take(_network(address))

    def succeed(self, token: str) -> None:
        """Remembers a token that is valid."""
        self._were_valid.put(token, True)


def _network(address: str) -> str:
    if ":" not in address:
        return address
    return str(ip_network((address.partition("%")[0], _IPV6_PREFIX), strict=False))
