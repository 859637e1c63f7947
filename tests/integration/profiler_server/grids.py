"""Tables for tests of what shows them, without visits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from netspec.operators import Operator
from netspec.protocol import TargetIdentity
from profiler_server.kit.sql.database import Database
from profiler_server.latency_tables.published import store
from profiler_server.latency_tables.published.formats.table import Price, ReadTable
from tests import made_up

OneOperator = TypeVar("OneOperator", bound=Operator)


def put(
    database: Database, values_ms: Mapping[OneOperator, float], **identity: object
) -> TargetIdentity:
    """Gives a target, with other controlled variables where given, imported entries."""
    target = made_up.identity(**identity)
    prices = tuple(
        Price(operator, value, value * 0.9, value * 1.1, 3) for operator, value in values_ms.items()
    )
    with database.write() as session:
        store.store(session, target, ReadTable(prices, {}))
    return target
