"""A phone's cores, and those that visits on it are pinned to."""

from __future__ import annotations

from collections.abc import Callable

from device_agent.cores.choice import CoreChoice, choose_cores, named_cores
from device_agent.cores.layout import LAYOUT_FILES, Core, parse_layout
from device_agent.transports.read_files import parse_values, read_pattern_command

_READ_LAYOUT = read_pattern_command(" ".join(LAYOUT_FILES))


def phone_cores(say: Callable[[str], str]) -> tuple[Core, ...]:
    """What the phone states of its cores.

    Args:
        say: what a command prints on the phone.
    """
    values = parse_values(say(_READ_LAYOUT))
    return parse_layout(values, say("cat /proc/cpuinfo"), say("cat /proc/self/status"))


def cores_for(cores: tuple[Core, ...], threads: int, named: str | None) -> CoreChoice:
    """The cores for so many threads: those that the user names, else the fastest.

    Raises:
        NoSuchCore: a named one cannot be used.
        CoresUnclear: the phone does not tell now which they are, or one of them is offline.
    """
    return choose_cores(cores, threads) if named is None else named_cores(cores, named, threads)
