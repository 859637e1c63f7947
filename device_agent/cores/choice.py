"""Which cores to measure on: whole kinds of cores, the fastest first, until there are enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from device_agent.cores.layout import Core
from device_agent.cores.numbers import core_list, parse_core_list
from device_agent.cores.parts import PARTS, part_name
from device_agent.errors import CoresUnclear, NoSuchCore

_GHZ = 1_000_000
_NAME_THEM = "name the cores to measure on with --cores"


@dataclass(frozen=True)
class CoreChoice:
    """The cores to pin to; none where nothing tells cores apart, or there are not enough."""

    #: ascending
    cores: tuple[int, ...]
    #: the first one of the fastest kind among them
    fastest: int = 0
    #: faster ones that are online, but kept from the shell by its cpuset
    withheld: tuple[int, ...] = ()


@dataclass(frozen=True)
class CoreKind:
    """Cores that nothing tells apart."""

    cores: tuple[Core, ...]

    @property
    def sample(self) -> Core:
        """One of them."""
        return self.cores[0]

    @property
    def numbers(self) -> frozenset[int]:
        """Of its cores."""
        return frozenset(core.number for core in self.cores)

    @property
    def physical(self) -> int:
        """Threads that can run on it without sharing a physical core."""
        return len({_first_sibling(core) for core in self.cores})

    @property
    def text(self) -> str:
        """For people: its cores, and what is known of them."""
        core = self.sample
        said = (
            part_name(core.part) if core.part else "",
            f"{core.max_khz / _GHZ:.3g} GHz" if core.max_khz else "",
            f"capacity {core.capacity}" if core.capacity else "",
        )
        return f"{core_list(self.numbers)} ({', '.join(filter(None, said)) or 'nothing stated'})"


def choose_cores(cores: Sequence[Core], threads: int) -> CoreChoice:
    """Take whole kinds by falling speed until each thread has a physical core.

    Kinds are told apart by capacity, highest clock, CPU part and type. Their order is that of their
    capacities where all state one, then that of clock times work a clock where all parts are known,
    then that of the clocks.

    Args:
        cores: of the machine.
        threads: that the runner starts.

    Returns:
        The cores; none where there are not so many, or where nothing tells cores apart and none
        states a clock, as on emulators.

    Raises:
        CoresUnclear: cores that are offline are, or may be, the fastest; or nothing tells which of
            two kinds is the faster one.
    """
    kinds = core_kinds(cores)
    if not kinds or (len(kinds) == 1 and kinds[0].sample.max_khz is None):
        return CoreChoice(())
    _refuse_undescribed(cores)
    # Cpusets shrink when cores go offline.
    usable = [core for core in cores if core.allowed or not core.online]
    wanted = _fastest(usable, threads)
    online = _fastest([core for core in usable if core.online], threads)
    if [_key(kind.sample) for kind in online] != [_key(kind.sample) for kind in wanted]:
        raise CoresUnclear(
            f"of the fastest cores, {_texts(wanted)}, not enough are online for "
            f"{threads} thread{'s' * (threads > 1)}; keep the device awake and busy until they "
            f"are, or {_NAME_THEM}"
        )
    chosen = [core for kind in wanted for core in kind.cores]
    best = {core.number for kind in _fastest(cores, threads) for core in kind.cores}
    return CoreChoice(
        cores=_without_siblings(chosen, threads),
        fastest=min(wanted[0].numbers) if wanted else 0,
        withheld=tuple(sorted(best - {core.number for core in usable})),
    )


def named_cores(cores: Sequence[Core], text: str, threads: int) -> CoreChoice:
    """The cores that the user names.

    Args:
        cores: of the machine.
        text: such as `4-7` or `4,5`.
        threads: that the runner starts.

    Raises:
        NoSuchCore: one is not there, is kept from the shell, or there are fewer than threads.
        CoresUnclear: one is offline.
    """
    wanted = parse_core_list(text)
    chosen = [core for core in cores if core.number in wanted]
    if missing := wanted - {core.number for core in chosen}:
        there = core_list(core.number for core in cores) or "none that it names"
        raise NoSuchCore(f"the device has no core {core_list(missing)}; it has {there}")
    if kept := [core.number for core in chosen if core.online and not core.allowed]:
        raise NoSuchCore(
            f"the shell's cpuset keeps programs off core {core_list(kept)}; name others"
        )
    if len(chosen) < threads:
        raise NoSuchCore(f"--cores names {len(chosen)} cores for {threads} threads; name more")
    if offline := [core.number for core in chosen if not core.online]:
        raise CoresUnclear(f"core {core_list(offline)} is offline; wake the device, or name others")
    kinds = core_kinds(chosen)
    fastest = min(_ranked(kinds)[0][0].numbers if kinds else wanted)
    return CoreChoice(cores=tuple(sorted(wanted)), fastest=fastest)


def core_kinds(cores: Iterable[Core]) -> list[CoreKind]:
    """The cores of which anything is known, by kind."""
    found: dict[tuple[object, ...], list[Core]] = {}
    for core in cores:
        if core.is_described:
            found.setdefault(_key(core), []).append(core)
    return [CoreKind(tuple(alike)) for alike in found.values()]


def _key(core: Core) -> tuple[object, ...]:
    """What tells kinds apart; parts that do the same work in a clock are one."""
    return (core.capacity, core.max_khz, _per_clock(core) or core.part, core.rank_of_type)


def _per_clock(core: Core) -> int | None:
    part = None if core.part is None else PARTS.get(core.part)
    return None if part is None else part.per_clock


def _estimate(core: Core) -> int | None:
    per_clock = _per_clock(core)
    return None if per_clock is None or core.max_khz is None else per_clock * core.max_khz


#: greater is faster; the first that all kinds state and that differs decides
_SCALES: tuple[Callable[[Core], int | None], ...] = (
    lambda core: core.capacity,
    lambda core: None if core.rank_of_type is None else -core.rank_of_type,
    _estimate,
    _per_clock,
    lambda core: core.max_khz,
)


def _ranked(kinds: Sequence[CoreKind]) -> list[list[CoreKind]]:
    """The kinds by falling speed; those between which nothing decides stand together."""
    for scale in _SCALES:
        speeds = [scale(kind.sample) for kind in kinds]
        known = [speed for speed in speeds if speed is not None]
        if len(known) == len(kinds) and len(set(known)) > 1:
            pairs = sorted(zip(known, kinds, strict=True), key=lambda pair: -pair[0])
            groups = groupby(pairs, key=lambda pair: pair[0])
            return [rank for _, group in groups for rank in _ranked([kind for _, kind in group])]
    return [list(kinds)]


def _fastest(cores: Iterable[Core], threads: int) -> list[CoreKind]:
    """Whole kinds, the fastest first; none where there are not enough cores.

    Raises:
        CoresUnclear: nothing tells which of several kinds is to be taken.
    """
    kinds = core_kinds(cores)
    if sum(kind.physical for kind in kinds) < threads:
        enough = sum(len(kind.cores) for kind in kinds) >= threads
        return [kind for rank in _ranked(kinds) for kind in rank] if enough else []
    chosen: list[CoreKind] = []
    for rank in _ranked(kinds):
        missing = threads - sum(kind.physical for kind in chosen)
        if missing <= 0:
            break
        sizes = [kind.physical for kind in rank]
        if sum(sizes) - min(sizes) >= missing:
            raise CoresUnclear(
                f"nothing tells which cores are faster, {' or '.join(kind.text for kind in rank)}; "
                f"{_NAME_THEM}"
            )
        chosen += rank
    return chosen


def _refuse_undescribed(cores: Iterable[Core]) -> None:
    """Cores that state nothing, as those do that are offline, may be the fastest."""
    silent = [core for core in cores if not core.is_described]
    if silent:
        numbers = core_list(core.number for core in silent)
        offline = all(not core.online for core in silent)
        wait = "keep the device awake and busy until they are online, or " if offline else ""
        raise CoresUnclear(
            f"cores {numbers} {'are offline and ' * offline}state nothing of themselves, so they "
            f"may be the fastest; {wait}{_NAME_THEM}"
        )


def _without_siblings(cores: Sequence[Core], threads: int) -> tuple[int, ...]:
    """Where several threads run, each gets a physical core of its own, if there are so many."""
    firsts = {_first_sibling(core) for core in cores}
    share = threads == 1 or len(firsts) < threads
    return tuple(sorted(core.number for core in cores if share or core.number in firsts))


def _first_sibling(core: Core) -> int:
    return min(core.siblings, default=core.number)


def _texts(kinds: Iterable[CoreKind]) -> str:
    return " and ".join(kind.text for kind in kinds)
