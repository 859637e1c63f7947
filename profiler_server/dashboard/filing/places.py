"""What the answer to where a job is measured comes to: which devices that are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import ISOLATED
from profiler_server.dashboard.filing.alternatives import BadForm
from profiler_server.dashboard.formatting import counted
from profiler_server.devices import repository as devices
from profiler_server.devices.rows import DeviceRow, TargetRow
from profiler_server.jobs import targets

#: labels that a message names, and targets
_MOST_LABELS = 10
_MOST_TARGETS = 3

_Offers = Sequence[tuple[TargetRow, DeviceRow]]


def describe(session: Session, where: Mapping[str, Any]) -> str:
    """How many devices an answer means, and of which targets.

    Args:
        session: a transaction.
        where: `target_id`, or `select` with labels, of a job's request.

    Raises:
        Problem: `unknown-target` or `imported-target`, with what targets there are.
        BadForm: no device has the labels, with what labels there are.
    """
    offers = devices.offers(session)
    if "target_id" in where:
        (target_id,) = targets.chosen(session, where["target_id"], None, ISOLATED)
        having = {device.id for target, device in offers if target.id == target_id}
        if not having:
            return "No device has it now: a job would wait until one comes."
        return f"{counted(len(having), 'device')} of this target."
    wanted: dict[str, str] = where["select"]["labels"]
    found = [one for one in offers if wanted.items() <= _labels(one[1]).items()]
    if not found:
        raise BadForm(f"No device has {_named(wanted)}; {_there_is(offers)}", "where")
    having = {device.id for _, device in found}
    names = list(dict.fromkeys(_name(target) for target, _ in found))
    more = len(names) - _MOST_TARGETS
    shown = "; ".join(names[:_MOST_TARGETS]) + (f" and {more} more" if more > 0 else "")
    return f"{counted(len(having), 'device')} of {counted(len(names), 'target')}: {shown}."


def _there_is(offers: _Offers) -> str:
    labels = {device.id: _labels(device) for _, device in offers}
    if not labels:
        return "no device has registered yet: start `device-agent run` where one is"
    pairs = Counter(f"{name}={value}" for of in labels.values() for name, value in of.items())
    if not pairs:
        return "no device has any label: a device's page gives it some"
    shown = [f"{pair} ({counted(count, 'device')})" for pair, count in sorted(pairs.items())]
    more = len(shown) - _MOST_LABELS
    return f"there are {', '.join(shown[:_MOST_LABELS])}" + (
        f" and {more} more" if more > 0 else ""
    )


def _named(labels: Mapping[str, str]) -> str:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return pairs[0] if len(pairs) == 1 else f"all of {', '.join(pairs)}"


def _labels(device: DeviceRow) -> dict[str, str]:
    found: dict[str, str] = json.loads(device.labels)
    return found


def _name(target: TargetRow) -> str:
    return TargetIdentity.model_validate_json(target.identity).label
