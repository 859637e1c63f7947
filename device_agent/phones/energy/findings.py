"""Which counters of energy a phone or board has, and how finely one tells it: for `doctor`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from device_agent.errors import PhoneUnusable, VisitFailed
from device_agent.measuring.energy import EnergyChoice, Resolution
from device_agent.phones.energy.board_counters import find_board_counter
from device_agent.phones.energy.counters import (
    CounterMissing,
    PhoneCounter,
    find_counter,
    rails_of,
)
from device_agent.phones.energy.script import EnergyScript
from device_agent.phones.files import QUICK_S
from device_agent.transports.base import Transport
from netspec.wire import LEAST_WINDOW_S, MOST_OPEN

#: steps of the counter that are watched, and what that takes at most (s)
_STEPS, _WATCHED_S = 5, 60.0
_NO_COUNTER = "no counter that may be read: latency is measured, no energy"


@dataclass(frozen=True)
class EnergyFindings:
    """What a device has to count energy by."""

    found: str
    #: what to do; empty where energy is measured as it is, or never
    advice: str = ""


def energy_findings(transport: Transport, folder: PurePosixPath, soc: str) -> EnergyFindings:
    """Looks for counters, and watches the one that an agent would choose by itself.

    Args:
        transport: to the phone.
        folder: on the phone, for a script's files; it is removed.
        soc: as the phone says it.
    """

    def say(command: str) -> str:
        return transport.shell(command, timeout_s=QUICK_S).output

    has = [
        f"{method} with {len(rails)} rails"
        for method in ("odpm", "power_stats")
        if (rails := rails_of(say, method))
    ]
    try:
        find_counter(say, EnergyChoice("fuel_gauge"), soc, "xnnpack")
    except PhoneUnusable:
        gauge = ""
    else:
        has.append("fuel_gauge")
        gauge = "; or count what the battery gives, unplugged: `--energy fuel_gauge`"
    counters = ", ".join(has)
    try:
        source = find_counter(say, EnergyChoice(), soc, "xnnpack")
    except CounterMissing as error:
        return EnergyFindings(counters, f"{error}{gauge}") if has else EnergyFindings(_NO_COUNTER)
    return _watched(transport, folder, source, counters)


def board_findings(transport: Transport, folder: PurePosixPath) -> EnergyFindings:
    """Looks for the counter that an agent would choose by itself on a board, and watches it.

    Args:
        transport: to the board.
        folder: on the board, for a script's files; it is removed.
    """

    def say(command: str) -> str:
        return transport.shell(command, timeout_s=QUICK_S).output

    try:
        source = find_board_counter(say, EnergyChoice(), "", "xnnpack")
    except CounterMissing as error:
        _, _, there = str(error).partition("; ")
        return EnergyFindings(_NO_COUNTER, there)
    return _watched(transport, folder, source, source.counter.meter.method)


def _watched(
    transport: Transport, folder: PurePosixPath, source: PhoneCounter, counters: str
) -> EnergyFindings:
    """How finely a counter tells energy.

    Args:
        transport: to the device.
        folder: on the device, for a script's files; it is removed.
        source: the counter.
        counters: all that the device has, for people.
    """
    try:
        resolution = _resolution(transport, folder, source)
    except VisitFailed as error:
        return EnergyFindings(counters, str(error))
    coarse = resolution.share > MOST_OPEN
    advice = f"ask for windows of {resolution.fine_s:.0f} s or more" if coarse else ""
    return EnergyFindings(f"{counters}; {resolution}", advice)


def _resolution(transport: Transport, folder: PurePosixPath, source: PhoneCounter) -> Resolution:
    """How finely the counter tells energy.

    Raises:
        VisitFailed: it made no step in time, or said something else.
    """
    script = EnergyScript(str(folder), "@energy", source, (0.0,) * _STEPS, LEAST_WINDOW_S)
    kept = shlex.quote(str(folder))
    transport.shell(f"mkdir -p {kept}", timeout_s=QUICK_S)
    try:
        said = transport.shell(script.script().text, timeout_s=_WATCHED_S).output
    finally:
        transport.shell(f"rm -rf {kept}", timeout_s=QUICK_S)
    readings = script.readings(said)
    if len(readings) <= _STEPS:
        raise VisitFailed(f"{source.counter.meter.name} was not read to the end")
    return Resolution.of(source.counter, readings)
