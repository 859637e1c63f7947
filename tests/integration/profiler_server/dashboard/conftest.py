from __future__ import annotations

from collections.abc import Callable

import pytest

from profiler_server.auth.scopes import Scope
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api


@pytest.fixture
def visitor(api: Api) -> Visitor:
    """Nobody yet."""
    return Visitor(api.http.app)  # type: ignore[attr-defined]


@pytest.fixture
def admin(api: Api, visitor: Visitor) -> Visitor:
    """Somebody who may do everything."""
    visitor.sign_in(api.headers["Authorization"].removeprefix("Bearer "))
    return visitor


@pytest.fixture
def sign_in(api: Api, make_token: Callable[..., str]) -> Callable[..., Visitor]:
    """Makes somebody who has a token with some scopes."""

    def make(*scopes: Scope) -> Visitor:
        made = Visitor(api.http.app)  # type: ignore[attr-defined]
        made.sign_in(make_token(*scopes))
        return made

    return make
