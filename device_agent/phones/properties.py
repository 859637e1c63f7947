"""What a phone says of itself, and the cores to measure on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from device_agent.phones.read_files import read_pattern_command
from device_agent.text import clean

_PROPERTY = re.compile(r"^\[(?P<name>[^\]]+)\]: \[(?P<value>.*)\]$", re.MULTILINE)
_MAX_FREQUENCY = re.compile(r"/cpu(?P<core>[0-9]+)/cpufreq/cpuinfo_max_freq (?P<khz>[0-9]+)\s*$")
#: what `parse_clusters` reads
LIST_CLOCKS = read_pattern_command("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq")
_SOCS = ("ro.soc.model", "ro.board.platform", "ro.hardware")
_UNKNOWN = "unknown"
#: what phones say that have no serial number of their own
_NO_NUMBERS = frozenset({_UNKNOWN, "0123456789ABCDEF"})


@dataclass(frozen=True)
class PhoneProperties:
    """From `getprop`."""

    model: str
    soc: str
    build: str
    #: best first
    abis: tuple[str, ...]
    #: Android's API level, 0 where it does not say
    sdk: int
    #: its own serial number, empty where it has none
    number: str


def parse_properties(text: str) -> PhoneProperties:
    """From the output of `getprop` without arguments; what is missing is `unknown`."""
    values = {match["name"]: match["value"].strip() for match in _PROPERTY.finditer(text)}
    maker, model = values.get("ro.product.manufacturer", ""), values.get("ro.product.model", "")
    name = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    abis = values.get("ro.product.cpu.abilist") or values.get("ro.product.cpu.abi", "")
    sdk = values.get("ro.build.version.sdk", "")
    return PhoneProperties(
        model=clean(name) or _UNKNOWN,
        soc=clean(next((values[key] for key in _SOCS if values.get(key)), "")) or _UNKNOWN,
        build=clean(values.get("ro.build.fingerprint", "")) or _UNKNOWN,
        abis=tuple(abi.strip() for abi in abis.split(",") if abi.strip()),
        sdk=int(sdk) if sdk.isdigit() else 0,
        number=own_number(values.get("ro.serialno", "")),
    )


def own_number(number: str) -> str:
    """A phone's serial number; empty where it says one that many phones say."""
    return "" if number.strip() in _NO_NUMBERS else number.strip()


def parse_clusters(text: str) -> dict[int, int]:
    """Highest clock in kHz by core, from lines `/sys/.../cpuN/cpufreq/cpuinfo_max_freq KHZ`."""
    matches = (_MAX_FREQUENCY.search(line) for line in text.splitlines())
    return {int(match["core"]): int(match["khz"]) for match in matches if match}


def fastest_cluster(max_khz: Mapping[int, int], threads: int) -> tuple[int, ...]:
    """Cores of the fastest cluster that has a core for each thread; none where there is no such.

    Args:
        max_khz: highest clock by core; cores with the same one are a cluster.
        threads: that the runner starts.
    """
    clusters: dict[int, list[int]] = {}
    for core, khz in sorted(max_khz.items()):
        clusters.setdefault(khz, []).append(core)
    for khz in sorted(clusters, reverse=True):
        if len(clusters[khz]) >= threads:
            return tuple(clusters[khz])
    return ()


def mask(cores: tuple[int, ...]) -> str:
    """The cores as `taskset` and a target's affinity write them: hex, or `none`."""
    return f"{sum(1 << core for core in cores):x}" if cores else "none"
