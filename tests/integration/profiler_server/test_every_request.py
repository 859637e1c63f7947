"""Requests of every kind, made from the OpenAPI document: none fails, every answer is in it."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings

from tests.integration.profiler_server.every_request import api_on_sqlite, check, requests  # noqa: F401
from tests.integration.profiler_server.service import Api

schema = requests(systematic=False)


@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_few_on_sqlite(case: schemathesis.Case[Any], api_on_sqlite: Api) -> None:  # noqa: F811
    check(case, api_on_sqlite)
