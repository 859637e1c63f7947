"""Whether a visit may enter an estimate, by the conditions that its agent reports.

The agent judges first, and says why in the visit. This is for agents that report bad conditions
and do not act on them. The rules are those of the device's own protocol.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from netspec.protocol import Gate
from netspec.wire import Conditions, Visit


@dataclass(frozen=True)
class Rules:
    """What a protocol says of conditions."""

    gate: Gate
    #: whether the protocol would rather have no visit than one on a low or warm battery; one for
    #: computers measures on, and lets each visit be judged by its runs
    minds_battery: bool


@lru_cache(maxsize=1_024)
def rules_of(protocol: str) -> Rules:
    """The rules of a protocol's JSON, also of one from before there were gates."""
    stored = json.loads(protocol)
    cool_down = stored.get("cool_down", {})
    return Rules(
        gate=Gate.model_validate(stored.get("gate", {})),
        minds_battery=cool_down.get("then") == "hand_back",
    )


def rejection(visit: Visit, rules: Rules) -> str:
    """Why the visit must not enter an estimate, empty if it may; the agent's reason comes first."""
    if visit.rejected:
        return visit.rejected
    for when, conditions in (("before", visit.before), ("after", visit.after)):
        if why := _complaint(conditions, rules):
            return f"{why} {when} the visit"
    return ""


def _complaint(conditions: Conditions, rules: Rules) -> str:
    gate = rules.gate
    status = conditions.thermal_status
    if status is not None and status > gate.max_thermal_status:
        return f"thermal status {status}, more than {gate.max_thermal_status},"
    if not rules.minds_battery:
        return ""
    percent, celsius = conditions.battery_percent, conditions.battery_celsius
    if percent is not None and percent < gate.min_battery_percent:
        return f"battery at {percent:g} %, less than {gate.min_battery_percent:g} %,"
    if celsius is not None and celsius > gate.max_battery_celsius:
        return f"battery at {celsius:g} C, more than {gate.max_battery_celsius:g} C,"
    return ""
