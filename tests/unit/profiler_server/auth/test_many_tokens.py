"""Many tokens from one address at once: good ones are all taken, of bad ones few are checked."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import cast

from fastapi import Request

from profiler_server.auth import tokens
from profiler_server.auth.dependencies import identified
from profiler_server.auth.guesses import TokenGuesses
from profiler_server.auth.service import Principal, refused
from profiler_server.kit.problems import Problem

MANY = 400


class Checker:
    """Knows some tokens, and takes a moment to say so."""

    def __init__(self, *known: str) -> None:
        self._known = {token: Principal(token, frozenset()) for token in known}
        self._trusted: dict[str, Principal] = {}
        self.checked = 0

    def trusted(self, token: str) -> Principal | None:
        return self._trusted.get(token)

    def check(self, token: str) -> Principal:
        self.checked += 1
        time.sleep(0.001)
        if token not in self._known:
            raise refused("this server has not made it")
        return self._trusted.setdefault(token, self._known[token])


def ask(checker: Checker, asked: list[str]) -> list[Principal | BaseException]:
    state = SimpleNamespace(token_checker=checker, token_guesses=TokenGuesses())
    client = SimpleNamespace(host="192.0.2.1")
    request = cast("Request", SimpleNamespace(app=SimpleNamespace(state=state), client=client))

    async def all_at_once() -> list[Principal | BaseException]:
        return await asyncio.gather(
            *(identified(request, token) for token in asked), return_exceptions=True
        )

    return asyncio.run(all_at_once())


def test_agents_that_come_back_at_once_are_all_let_in() -> None:
    known = [tokens.new_token() for _ in range(MANY)]
    answers = ask(Checker(*known), known)
    assert [cast("Principal", one).token_id for one in answers] == known


def test_one_token_of_many_connections_is_checked_a_few_times() -> None:
    token = tokens.new_token()
    checker = Checker(token)
    answers = ask(checker, [token] * MANY)
    assert all(isinstance(one, Principal) for one in answers)
    assert checker.checked <= 16


def test_of_bad_tokens_few_are_checked() -> None:
    checker = Checker()
    answers = ask(checker, [tokens.new_token() for _ in range(MANY)])
    kinds = [cast("Problem", one).kind for one in answers]
    assert set(kinds) == {"invalid-token", "rate-limited"}
    assert checker.checked == kinds.count("invalid-token") <= 100 + 16 + 1
