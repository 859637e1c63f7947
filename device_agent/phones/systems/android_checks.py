"""What `doctor` asks an Android phone alone."""

from __future__ import annotations

from device_agent.measuring.gate import objections
from device_agent.phones.energy.findings import energy_findings
from device_agent.phones.properties import parse_properties
from device_agent.phones.readings import parse_battery, parse_thermal
from device_agent.phones.settings.awake import AWAKE, AwakePhone
from device_agent.phones.systems.base import Check, Verdict, asking
from device_agent.transports.base import Transport
from netspec.protocol import PHONE

#: there for a moment, in the folder of the phone's shell
_TRIAL = ".device-agent-energy"
ASK_SAVING = "settings get global low_power"
#: Android 6: without its `setsid`, no script outlives its connection
OLDEST_SDK = 23
#: Android 10: where the thermal status begins
_THERMAL_SDK = 29
_COOL = "take it off the charger and out of the sun, and wait"


def booted(transport: Transport) -> Check:
    """Is Android up?"""
    say = asking(transport)
    if say("getprop sys.boot_completed").strip() == "1":
        return Check("booted", "ok", "Android is up")
    advice = "wait for the home screen; unlock the phone once after a restart"
    return Check("booted", "bad", "Android is still starting", advice)


def android(transport: Transport) -> Check:
    """Is it new enough?"""
    say = asking(transport)
    properties = parse_properties(say("getprop"))
    release = say("getprop ro.build.version.release").strip() or "unknown"
    state = f"{properties.model}, Android {release} (API {properties.sdk})"
    if properties.sdk < OLDEST_SDK:
        return Check("android", "bad", state, f"API {OLDEST_SDK} or later is needed")
    if properties.sdk < _THERMAL_SDK:
        advice = f"before API {_THERMAL_SDK} phones do not say that they throttle: keep it cool"
        return Check("android", "warning", state, advice)
    return Check("android", "ok", state)


def thermal(transport: Transport) -> Check:
    """Is it cool?"""
    say = asking(transport)
    conditions = parse_thermal(say("dumpsys thermalservice"))
    if conditions.thermal_status is None:
        zones = say("cat /sys/class/thermal/thermal_zone*/temp")
        if any(char.isdigit() for char in zones):
            advice = "keep the phone cool: it does not say when it throttles"
            return Check("thermal", "warning", "temperatures, but no thermal status", advice)
        advice = "the phone cannot say that it throttles: measure short, and compare often"
        return Check("thermal", "warning", "neither thermal status nor temperatures", advice)
    celsius = "" if conditions.cpu_celsius is None else f", CPU at {conditions.cpu_celsius:g} C"
    state = f"thermal status {conditions.thermal_status}{celsius}"
    if objections(conditions, PHONE.gate):
        return Check("thermal", "bad", state, f"too warm: {_COOL}")
    return Check("thermal", "ok", state)


def battery(transport: Transport) -> Check:
    """Has it charge, and is its battery cool?"""
    say = asking(transport)
    conditions = parse_battery(say("dumpsys battery"))
    if conditions.battery_percent is None:
        advice = "fine for a board without one"
        return Check("battery", "warning", "the phone says nothing of a battery", advice)
    celsius = "" if conditions.battery_celsius is None else f", {conditions.battery_celsius:g} C"
    state = f"{conditions.battery_percent:g} %{celsius}"
    if against := objections(conditions, PHONE.gate):
        return Check("battery", "bad", state, f"{'; '.join(against)}: charge it, let it cool")
    return Check("battery", "ok", state)


def power_saving(transport: Transport) -> Check:
    """Does it save its battery?"""
    say = asking(transport)
    if say(ASK_SAVING).strip() == "1":
        advice = "switch it off in the phone's battery settings"
        return Check("power saving", "bad", "Battery Saver is on", advice)
    return Check("power saving", "ok", "Battery Saver is off")


def awake(transport: Transport) -> Check:
    """Does it sleep, and can it be woken?"""
    settings = AwakePhone(transport)
    before = settings.wakefulness()
    if before is None:
        return Check("awake", "warning", "the phone does not say whether it sleeps", "wake it")
    if before == AWAKE:
        return Check("awake", "ok", "the phone is awake")
    with settings.tried():
        settings.take()
        after = settings.wakefulness()
    if after != AWAKE:
        advice = "wake it, and switch `Stay awake` on in its developer options"
        return Check("awake", "warning", f"the phone stays {before.lower()}", advice)
    return Check("awake", "ok", f"the phone is {before.lower()}, and is woken for each batch")


def energy(transport: Transport) -> Check:
    """What counts its energy? It is measured without such counters, too: none is bad."""
    soc = parse_properties(asking(transport)("getprop")).soc
    findings = energy_findings(transport, transport.folder / _TRIAL, soc)
    verdict: Verdict = "warning" if findings.advice else "ok"
    return Check("energy", verdict, findings.found, findings.advice)
