from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from profiler_server.auth.scopes import Scope
from profiler_server.kit.settings import Settings
from tests.integration.profiler_server.survival.mortal import Mortal

#: a server process with some settings changed; ended with the test
Start = Callable[..., Mortal]


@pytest.fixture
def token(make_token: Callable[..., str]) -> str:
    return make_token(Scope.ADMIN)


@pytest.fixture
def start(settings: Settings, token: str) -> Iterator[Start]:
    assert token, "and with it the schema and the server's key"
    with ExitStack() as stack:

        def make(*, port: int = 0, **options: object) -> Mortal:
            mortal = {name: options.pop(name) for name in ("number", "hook") if name in options}
            changed = settings.model_copy(update=options)
            return stack.enter_context(Mortal(changed, port, **mortal))  # type: ignore[arg-type]

        yield make
