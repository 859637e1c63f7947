"""Is the device fit to be measured?"""

from __future__ import annotations

from netspec.protocol import Gate
from netspec.wire import Conditions


def objections(seen: Conditions, gate: Gate) -> tuple[str, ...]:
    """What keeps the gate closed, one text each; what the device does not say is no objection."""
    found: list[str] = []
    if seen.thermal_status is not None and seen.thermal_status > gate.max_thermal_status:
        found.append(
            f"thermal status {seen.thermal_status}, at most {gate.max_thermal_status} wanted"
        )
    if seen.battery_percent is not None and seen.battery_percent < gate.min_battery_percent:
        found.append(
            f"battery at {seen.battery_percent:g} %, at least {gate.min_battery_percent:g} % wanted"
        )
    if seen.battery_celsius is not None and seen.battery_celsius > gate.max_battery_celsius:
        found.append(
            f"battery at {seen.battery_celsius:g} C, at most {gate.max_battery_celsius:g} C wanted"
        )
    if seen.busy_share is not None and seen.busy_share > gate.max_busy_share:
        found.append(
            f"others use {seen.busy_share:.0%} of the measured cores, at most "
            f"{gate.max_busy_share:.0%} wanted"
        )
    return tuple(found)
