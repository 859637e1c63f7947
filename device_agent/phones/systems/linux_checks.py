"""What `doctor` asks a Linux board alone."""

from __future__ import annotations

from device_agent.measuring.gate import objections
from device_agent.phones.energy.findings import board_findings
from device_agent.phones.systems.base import Check, Verdict, asking
from device_agent.phones.systems.linux_readings import (
    ASK_HEAT,
    ASK_HINDRANCE,
    LEAST_MEMORY_MIB,
    free_memory_mib,
    read_heat,
    read_hindrance,
)
from device_agent.transports.base import Transport
from netspec.protocol import PHONE

#: there for a moment, in the folder of the board's agent
_TRIAL = ".device-agent-energy"


def linux(transport: Transport) -> Check:
    """Which Linux is it?"""
    say = asking(transport)
    kernel = say("uname -srm").strip()
    if not kernel.startswith("Linux"):
        found = f"this is no Linux ({kernel or 'it does not say what it is'})"
        return Check("linux", "bad", found, "boards with Linux can be measured")
    return Check("linux", "ok", kernel)


def thermal(transport: Transport) -> Check:
    """Is it cool enough to run at its clocks?"""
    say = asking(transport)
    conditions = read_heat(say(ASK_HEAT))
    if conditions.thermal_status is None:
        advice = "keep the board cool: it does not say when it throttles"
        return Check("thermal", "warning", "nothing says whether clocks are lowered", advice)
    if objections(conditions, PHONE.gate):
        advice = "give it a heat sink or a fan, or a better power supply, and wait"
        return Check("thermal", "bad", "its clocks are lowered now", advice)
    return Check("thermal", "ok", "nothing lowers its clocks")


def memory(transport: Transport) -> Check:
    """Is it free for visits: memory, and power?"""
    say = asking(transport)
    answer = say(ASK_HINDRANCE)
    if hindrance := read_hindrance(answer):
        found, _, advice = hindrance.partition("; ")
        return Check("memory", "bad", found, advice)
    mib = free_memory_mib(answer)
    if mib is None:
        advice = f"{LEAST_MEMORY_MIB} MiB are wanted"
        return Check("memory", "warning", "the kernel does not say what is free", advice)
    return Check("memory", "ok", f"{mib} MiB are free")


def energy(transport: Transport) -> Check:
    """What counts its energy? It is measured without such counters, too: none is bad."""
    findings = board_findings(transport, transport.folder / _TRIAL)
    verdict: Verdict = "warning" if findings.advice else "ok"
    return Check("energy", verdict, findings.found, findings.advice)
