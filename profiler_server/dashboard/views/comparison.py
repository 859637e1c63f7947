"""What the page of a comparison shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import Target, TargetQuery
from profiler_server.devices import service as devices
from profiler_server.devices.service import require_target
from profiler_server.latency_tables.views import comparison
from profiler_server.latency_tables.views.comparison import Comparison

#: targets that the form offers; others are named by their id
_OFFERED = 200
#: of the largest differences, on the page
_FARTHEST = 25
#: characters of a variable: the beginning of a hash tells it from another
_SHOWN = 40


@dataclass(frozen=True)
class Difference:
    """A controlled variable that two targets do not share."""

    variable: str
    first: str
    second: str


@dataclass(frozen=True)
class TableComparison:
    """Two targets, once both are chosen."""

    first: TargetIdentity
    second: TargetIdentity
    differences: Sequence[Difference]
    groups: Sequence[Comparison]


@dataclass(frozen=True)
class ComparisonView:
    """The page."""

    offered: Sequence[Target]
    compared: TableComparison | None


def read(session: Session, first_id: str, second_id: str) -> ComparisonView:
    """The page; an empty id is a target that is not chosen yet.

    Raises:
        Problem: `unknown-target`.
    """
    offered = devices.list_targets(session, TargetQuery(limit=_OFFERED)).items
    if not (first_id and second_id):
        return ComparisonView(offered, None)
    first, second = (
        TargetIdentity.model_validate_json(require_target(session, target_id).identity)
        for target_id in (first_id, second_id)
    )
    groups = comparison.compare(session, first_id, second_id, _FARTHEST)
    return ComparisonView(
        offered, TableComparison(first, second, differences(first, second), groups)
    )


def differences(first: TargetIdentity, second: TargetIdentity) -> list[Difference]:
    """The controlled variables in which the two differ, in the order of their definition."""
    one, other = first.model_dump(), second.model_dump()
    return [
        Difference(name, str(one[name])[:_SHOWN], str(other[name])[:_SHOWN])
        for name in one
        if one[name] != other[name]
    ]
