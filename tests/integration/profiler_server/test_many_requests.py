"""Hundreds of requests of every kind; without `-m nightly` they are not even prepared."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.integration.profiler_server.every_request import (
    api_on_postgresql,  # noqa: F401
    api_on_sqlite,  # noqa: F401
    check,
    requests,
)
from tests.integration.profiler_server.service import Api

pytestmark = [
    pytest.mark.nightly,
    # It blames strategies for random numbers that the service's threads drew meanwhile.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]
schema = requests(systematic=True)


@schema.parametrize()
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_on_sqlite(case: schemathesis.Case[Any], api_on_sqlite: Api) -> None:  # noqa: F811
    check(case, api_on_sqlite)


@schema.parametrize()
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_on_postgresql(
    case: schemathesis.Case[Any],
    api_on_postgresql: Api,  # noqa: F811
) -> None:
    check(case, api_on_postgresql)
