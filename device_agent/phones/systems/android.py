"""Android: properties, services and settings."""

from __future__ import annotations

from collections.abc import Sequence

from device_agent.phones.energy.counters import find_counter
from device_agent.phones.energy.quiet import QuietPhone
from device_agent.phones.properties import PhoneProperties, parse_properties
from device_agent.phones.readings import parse_battery, parse_thermal
from device_agent.phones.settings.awake import STATE_QUESTIONS, AwakePhone, state_steps
from device_agent.phones.settings.clock import PhoneClock
from device_agent.phones.systems import android_checks as checks
from device_agent.phones.systems.base import System
from device_agent.transports.base import Transport
from netspec.wire import Conditions


def _read_heat(answer: str) -> Conditions:
    said = (parse_battery(answer), parse_thermal(answer))
    known = [one.model_dump(exclude_none=True) for one in said]
    return Conditions.model_validate(known[0] | known[1])


def _read_hindrance(answer: str) -> str:
    is_saving = answer.strip() == "1"
    return "Battery Saver is on, which slows it down; switch it off" if is_saving else ""


def _clock(transport: Transport, cores: Sequence[int], properties: PhoneProperties) -> PhoneClock:
    return PhoneClock(transport, cores, properties.sdk)


ANDROID = System(
    noun="phone",
    interpreter="/system/bin/sh",
    introduction=(
        "getprop ro.serialno; getprop ro.product.model; getprop ro.build.version.release; "
        "cat /proc/sys/kernel/random/boot_id 2>/dev/null"
    ),
    describe="getprop",
    read_description=parse_properties,
    heat="dumpsys thermalservice; dumpsys battery",
    read_heat=_read_heat,
    hindrance=checks.ASK_SAVING,
    read_hindrance=_read_hindrance,
    state=STATE_QUESTIONS,
    state_steps=state_steps,
    awake=AwakePhone,
    quiet=lambda transport, of_battery: QuietPhone(transport, of_battery=of_battery),
    clock=_clock,
    find_counter=find_counter,
    first_checks=(checks.booted, checks.android),
    fitness_checks=(checks.thermal, checks.battery, checks.power_saving, checks.awake),
    last_checks=(checks.energy,),
    folder_advice="let the shell write and run programs; is this a work profile's phone?",
    clock_advice="numbers vary more; a rooted phone or Android 11 and later can do better",
)
