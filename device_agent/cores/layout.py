"""What Linux states of a machine's cores.

Sources: `Documentation/ABI/testing/sysfs-devices-system-cpu`, `cputopology.rst` and
`cpu-freq/user-guide.rst` of the kernel. Any of these files may be missing: cores that are offline
have neither clocks nor an identification register, and old kernels state no capacity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from device_agent.cores.numbers import parse_core_list

_CPU = "/sys/devices/system/cpu"
_EACH = f"{_CPU}/cpu[0-9]*"
_POLICY = f"{_CPU}/cpufreq/policy[0-9]*"
_MAX_KHZ, _DOMAIN = "cpuinfo_max_freq", "related_cpus"
_CAPACITY, _MIDR = "cpu_capacity", "regs/identification/midr_el1"
_SIBLINGS = "topology/thread_siblings_list"
#: where x86 lists the cores of each type, the fastest first
_TYPES = (
    "/sys/devices/cpu_core/cpus",
    "/sys/devices/cpu_atom/cpus",
    "/sys/devices/cpu_lowpower/cpus",
)
#: files whose first lines `parse_layout` reads
LAYOUT_FILES = (
    *(f"{_CPU}/{name}" for name in ("possible", "present", "online")),
    *(f"{_EACH}/{name}" for name in (_CAPACITY, _MIDR, _SIBLINGS)),
    *(
        f"{folder}/{name}"
        for folder in (f"{_EACH}/cpufreq", _POLICY)
        for name in (_MAX_KHZ, _DOMAIN)
    ),
    *_TYPES,
)
_OF_CORE = re.compile(rf"{_CPU}/cpu(?P<core>[0-9]+)/(?P<file>.+)")
_OF_POLICY = re.compile(rf"{_CPU}/cpufreq/policy(?P<core>[0-9]+)/(?P<file>.+)")
_ALLOWED = re.compile(r"^Cpus_allowed_list:\s*(?P<cores>[-0-9,]+)\s*$", re.MULTILINE)
_PROCESSOR = re.compile(r"^processor\s*:\s*(?P<number>[0-9]+)\s*$", re.MULTILINE)
_FIELD = re.compile(
    r"^(?P<name>processor|CPU implementer|CPU part)\s*:\s*(?P<value>\w+)", re.MULTILINE
)


@dataclass(frozen=True)
class Core:
    """One core that is there; None stands for what Linux does not state."""

    number: int
    online: bool = True
    #: whether the shell's cpuset lets programs run on it
    allowed: bool = True
    #: of the fastest core's 1024, at its highest clock
    capacity: int | None = None
    #: highest clock, kHz
    max_khz: int | None = None
    #: implementer and part
    part: tuple[int, int] | None = None
    #: on x86 with several types of cores: 0 for the fastest
    rank_of_type: int | None = None
    #: logical cores of the same physical one, this one included
    siblings: frozenset[int] = frozenset()
    #: cores that share its clock, this one included; empty where that is not stated
    domain: frozenset[int] = frozenset()

    @property
    def is_described(self) -> bool:
        """Whether anything tells it from other cores."""
        return (self.capacity, self.max_khz, self.part, self.rank_of_type) != (None,) * 4


def parse_layout(values: Mapping[str, str], cpuinfo: str, status: str) -> tuple[Core, ...]:
    """The cores that are there, by number.

    Args:
        values: first lines of those of `LAYOUT_FILES` that there are, by path.
        cpuinfo: `/proc/cpuinfo`.
        status: `/proc/self/status`, of a process of the shell.
    """
    per_core = _by_core(_OF_CORE, values)
    parts = _parts(cpuinfo)
    online = _listed(values, f"{_CPU}/online")
    processors = {int(match["number"]) for match in _PROCESSOR.finditer(cpuinfo)}
    found = frozenset({*per_core, *processors, *(online or ())})
    present = _listed(values, f"{_CPU}/present") or _listed(values, f"{_CPU}/possible") or found
    possible = _listed(values, f"{_CPU}/possible") or present
    allowed = _ALLOWED.search(status)
    may_use = None if allowed is None else parse_core_list(allowed["cores"])
    cores = [
        Core(
            number=core,
            online=online is None or core in online,
            allowed=may_use is None or core in may_use,
            capacity=_positive(per_core.get(core, {}).get(_CAPACITY)),
            max_khz=_positive(per_core.get(core, {}).get(f"cpufreq/{_MAX_KHZ}")),
            part=_midr_part(per_core.get(core, {}).get(_MIDR)) or parts.get(core),
            rank_of_type=_rank_of_type(values, core),
            siblings=_cores_in(per_core.get(core, {}).get(_SIBLINGS)) or frozenset({core}),
        )
        for core in sorted(present & possible)
    ]
    return tuple(_filled_in(_with_domains(cores, per_core, values)))


def _by_core(pattern: re.Pattern[str], values: Mapping[str, str]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for path, value in values.items():
        match = pattern.fullmatch(path)
        if match is not None and value:
            found.setdefault(int(match["core"]), {})[match["file"]] = value
    return found


def _with_domains(
    cores: Iterable[Core], per_core: Mapping[int, Mapping[str, str]], values: Mapping[str, str]
) -> Iterator[Core]:
    """Cores that are offline have no clock of their own, but their clock domain lists them."""
    clocks = [
        (files.get(f"cpufreq/{_DOMAIN}"), files.get(f"cpufreq/{_MAX_KHZ}"))
        for files in per_core.values()
    ]
    policies = _by_core(_OF_POLICY, values).values()
    clocks += [(files.get(_DOMAIN), files.get(_MAX_KHZ)) for files in policies]
    khz: dict[int, int] = {}
    domains: dict[int, frozenset[int]] = {}
    for listed, highest in clocks:
        domain = _cores_in(listed)
        domains |= dict.fromkeys(domain, domain)
        if (value := _positive(highest)) is not None:
            khz |= dict.fromkeys(domain, value)
    for core in cores:
        yield replace(
            core,
            max_khz=core.max_khz or khz.get(core.number),
            domain=domains.get(core.number, frozenset()),
        )


def _filled_in(cores: Iterable[Core]) -> Iterator[Core]:
    """Fill in what a core does not state and all cores of its cluster do.

    Capacities that only some state are no scale, so they are dropped.
    """
    stated = tuple(cores)
    several = len({(core.capacity, core.max_khz) for core in stated if core.is_described}) > 1
    filled = [_like(core, _cluster(core, stated, several=several)) for core in stated]
    partial = any(core.capacity is None for core in filled if core.is_described)
    for core in filled:
        yield replace(core, capacity=None) if partial else core


def _cluster(core: Core, others: Iterable[Core], *, several: bool) -> list[Core]:
    """Those of the others that are certainly of its kind.

    Args:
        core: any.
        others: all.
        several: whether clocks or capacities tell clusters apart at all: where all cores state the
            same, two that agree may still be of different kinds.
    """
    if core.domain:
        return [other for other in others if other.number in core.domain]
    return [other for other in others if several and _agree(core, other)]


def _like(core: Core, cluster: Iterable[Core]) -> Core:
    parts = {other.part for other in cluster} - {None}
    capacities = {other.capacity for other in cluster} - {None}
    return replace(
        core,
        part=core.part or (parts.pop() if len(parts) == 1 else None),
        capacity=core.capacity or (capacities.pop() if len(capacities) == 1 else None),
    )


def _agree(core: Core, other: Core) -> bool:
    """Whether both state a clock or a capacity, and nothing that both state differs."""
    pairs = ((core.capacity, other.capacity), (core.max_khz, other.max_khz))
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    return bool(both) and all(one == two for one, two in both)


def _parts(cpuinfo: str) -> dict[int, tuple[int, int]]:
    """Implementer and part by core; empty where the text states them once for all.

    Kernels before 4.x print a single part, that of whichever core answered.
    """
    blocks: dict[int, dict[str, int]] = {}
    current: dict[str, int] = {}
    for match in _FIELD.finditer(cpuinfo):
        if match["name"] == "processor":
            if match["value"].isdecimal():
                current = blocks.setdefault(int(match["value"]), {})
        elif match["name"] not in current:
            current[match["name"]] = int(match["value"], 0)
    parts = {
        core: (block["CPU implementer"], block["CPU part"])
        for core, block in blocks.items()
        if len(block) == 2  # noqa: PLR2004 (both)
    }
    return parts if len(parts) == len(blocks) else {}


def _midr_part(text: str | None) -> tuple[int, int] | None:
    try:
        midr = int(text or "", 16)
    except ValueError:
        return None
    return (midr >> 24 & 0xFF, midr >> 4 & 0xFFF) if midr else None


def _rank_of_type(values: Mapping[str, str], core: int) -> int | None:
    return next(
        (rank for rank, path in enumerate(_TYPES) if core in _cores_in(values.get(path))), None
    )


def _listed(values: Mapping[str, str], path: str) -> frozenset[int] | None:
    return _cores_in(values.get(path)) or None


def _cores_in(text: str | None) -> frozenset[int]:
    try:
        return parse_core_list(text or "")
    except ValueError:
        return frozenset()


def _positive(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and int(text) else None
