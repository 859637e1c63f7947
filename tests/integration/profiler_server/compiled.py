"""Statements that are compiled once for all databases of tests.

Every engine compiles what it executes anew, and every test has engines of its own: without this, a
third of a test's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from profiler_server.kit.sql import database


@contextmanager
def compiled_once() -> Iterator[None]:
    """Within the block, engines of one kind of database share their dialect and statements."""
    shared: dict[str, tuple[Any, Any]] = {}

    def make_engine(*arguments: Any, **options: Any) -> Engine:
        made = create_engine(*arguments, query_cache_size=5_000, **options)
        name = made.dialect.name

        # Not before: a dialect knows its server, and listeners of the engine are its own, with the
        # first connection.
        @event.listens_for(made, "engine_connect")
        def share(_: object) -> None:
            own = (made.dialect, made._compiled_cache)
            made.dialect, made._compiled_cache = shared.setdefault(name, own)

        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", make_engine)
        yield
