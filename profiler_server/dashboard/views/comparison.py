"""What the page of a comparison shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import Target, TargetQuery
from profiler_server.dashboard.views import scatter
from profiler_server.dashboard.views.scatter import Scatter
from profiler_server.devices import service as devices
from profiler_server.devices.service import require_target
from profiler_server.latency_tables.views import comparison
from profiler_server.latency_tables.views.comparison import Comparison, Pair

MOST_TARGETS = 6
#: targets that the form offers at a time
_OFFERED = 100
#: of the largest differences, on the page
_FARTHEST = 25
#: characters of a variable: the beginning of a hash tells it from another
_SHOWN = 40
#: factor around the median within which ratios count as equal
_EQUAL = 1.02


@dataclass(frozen=True)
class Difference:
    """A controlled variable that the targets do not share, a value each."""

    variable: str
    values: Sequence[str]


@dataclass(frozen=True)
class GroupView:
    """One precision, or whole networks, of two targets."""

    group: Comparison
    #: whose ratios differ from the median, the farthest first
    differing: Sequence[Pair]
    #: the others of those that are told
    equal: Sequence[Pair]
    plots: Sequence[Scatter]


@dataclass(frozen=True)
class Against:
    """One target against the first."""

    target_id: str
    identity: TargetIdentity
    groups: Sequence[GroupView]


@dataclass(frozen=True)
class TableComparison:
    """Targets, once two or more are chosen."""

    first_id: str
    first: TargetIdentity
    differences: Sequence[Difference]
    others: Sequence[Against]


@dataclass(frozen=True)
class ComparisonView:
    """The page."""

    #: those that the form offers, the chosen ones first
    offered: Sequence[Target]
    #: whether there are others with the same words
    has_more: bool
    compared: TableComparison | None


def read(session: Session, chosen: Sequence[str], text: str = "") -> ComparisonView:
    """The page.

    Args:
        session: reads.
        chosen: ids of at most `MOST_TARGETS` targets, the one that others are compared with first.
        text: words of the targets to offer.

    Raises:
        Problem: `unknown-target`.
    """
    page = devices.list_targets(session, TargetQuery(limit=_OFFERED, text=text or None))
    own = [devices.get_target(session, target_id) for target_id in chosen]
    offered = [*own, *(target for target in page.items if target.id not in chosen)]
    has_more = page.next_cursor is not None
    if len(own) < 2:  # noqa: PLR2004 - two to compare
        return ComparisonView(offered, has_more, None)
    identities = [_identity(session, target_id) for target_id in chosen]
    first, *others = zip(chosen, identities, strict=True)
    compared = TableComparison(
        first_id=first[0],
        first=first[1],
        differences=differences(identities),
        others=[
            Against(target_id, identity, _groups(session, first, (target_id, identity)))
            for target_id, identity in others
        ],
    )
    return ComparisonView(offered, has_more, compared)


def differences(identities: Sequence[TargetIdentity]) -> list[Difference]:
    """The controlled variables in which targets differ, in the order of their definition."""
    dumps = [identity.model_dump() for identity in identities]
    return [
        Difference(name, [str(dump[name])[:_SHOWN] for dump in dumps])
        for name in dumps[0]
        if any(dump[name] != dumps[0][name] for dump in dumps)
    ]


def _identity(session: Session, target_id: str) -> TargetIdentity:
    return TargetIdentity.model_validate_json(require_target(session, target_id).identity)


def _groups(
    session: Session, first: tuple[str, TargetIdentity], second: tuple[str, TargetIdentity]
) -> list[GroupView]:
    names = first[1].device_model, second[1].device_model
    return [
        _group(group, names)
        for group in comparison.compare(session, first[0], second[0], _FARTHEST)
    ]


def _group(group: Comparison, names: tuple[str, str]) -> GroupView:
    word = group.precision or "networks and models"
    points = [point for point in group.sample if min(point) > 0]
    plots: Sequence[Scatter] = ()
    if points:
        plots = (
            scatter.first_and_second(points, f"{names[1]} over {names[0]}, {word}", names),
            scatter.ratios(points, f"Ratio over the latency on {names[0]}, {word}", names[0]),
        )
    differing = [pair for pair in group.farthest if _differs(pair, group.median_ratio)]
    equal = [pair for pair in group.farthest if not _differs(pair, group.median_ratio)]
    return GroupView(group, differing, equal, plots)


def _differs(pair: Pair, median: float) -> bool:
    if pair.ratio <= 0 or median <= 0:
        return True
    return abs(math.log(pair.ratio / median)) > math.log(_EQUAL)
