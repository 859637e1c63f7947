"""Whoever shows no token, or not the right one, costs the server next to nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from profiler_server.app import create_app
from profiler_server.auth import tokens
from profiler_server.auth.guesses import _network
from profiler_server.auth.scopes import Scope
from profiler_server.kit.settings import Settings
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api
from tests.unit.profiler_server.kit.http.asked import Answer, ask

MakeToken = Callable[..., str]


@pytest.fixture
def app(settings: Settings) -> Any:
    return create_app(settings)


def knock(app: Any, method: str, path: str, token: str | None = None) -> Answer:
    """Asks, with a body that must not be read."""
    headers = {"Content-Type": "application/json", "Content-Length": "1000000"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return ask(app, method, path, headers=headers, query="unknown=1")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_body_and_no_query_is_looked_at_before_the_token(
    app: Any, make_token: MakeToken
) -> None:
    operations = [
        (method.upper(), re.sub(r"{\w+}", "x", path))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if path.startswith("/v1")
    ]
    assert len(operations) > 30
    for method, path in operations:
        assert knock(app, method, path).status == 401, (method, path)
    agent = make_token(Scope.AGENT)
    for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/models/x")):
        assert knock(app, method, path, agent).status == 403
    assert knock(app, "POST", "/v1/visits:batch", make_token(Scope.TABLES_READ)).status == 403


def test_guessing_tokens_ends_soon_and_hurts_nobody_else(api: Api) -> None:
    checker = api.http.app.state.token_checker  # type: ignore[attr-defined]
    api.call("GET", "/v1/jobs")
    stranger = Api(api.http, None)

    def guess(number: int) -> Any:
        # One that comes back while these are sent may be used.
        headers = {"Authorization": f"Bearer {tokens.new_token()}"}
        answer = stranger.http.get("/v1/jobs", headers=headers)
        assert answer.status_code == 401 or number >= 100
        return answer

    refused = next(answer for answer in map(guess, range(200)) if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "were not valid" in refused.json()["detail"]
    # The same address, and a token that has been good before.
    checker._by_token._values.clear()
    api.call("GET", "/v1/jobs")
    # What is no token at all asks no database, and is told so for ever.
    stranger.call("GET", "/v1/jobs", status=401, headers={"Authorization": "Bearer short"})


def test_good_tokens_are_no_guesses(api: Api, make_token: MakeToken) -> None:
    for _ in range(101):
        Api(api.http, make_token(Scope.TABLES_READ)).call("GET", "/v1/jobs")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_address_stands_for_its_owner(address: str, network: str) -> None:
    assert _network(address) == network


def test_who_guesses_behind_a_proxy_locks_out_nobody_else(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("profiler_server.auth.guesses._AT_ONCE", 5)
    proxies = Settings.model_validate(
        {"database_url": "x", "server_key_file": "x", "trusted_proxies": "192.0.2.1"}
    ).trusted_proxies
    app: Any = make_api(trusted_proxies=proxies).http.app  # type: ignore[attr-defined]

    def guess(said: str, peer: str = "192.0.2.1") -> int:
        headers = {"Authorization": f"Bearer {tokens.new_token()}", "X-Forwarded-For": said}
        return ask(app, "GET", "/v1/jobs", headers=headers, peer=peer).status

    assert [guess("203.0.113.9") for _ in range(7)][-1] == 429
    assert guess("203.0.113.10") == 401
    # What the guesser writes itself stands before what the proxy adds.
    assert guess("198.51.100.1, 203.0.113.9") == 429
    # Who is no proxy is itself, whatever it says.
    assert [guess(f"203.0.113.{number}", "192.0.2.99") for number in range(20, 27)][-1] == 429
