"""Sets of cores as Linux, `taskset` and people write them."""

from __future__ import annotations

from collections.abc import Iterable

#: beyond what any phone or board has
_LAST_CORE = 1023


def parse_core_list(text: str) -> frozenset[int]:
    """The cores of a list such as `0-3,7`, or of one parted by spaces.

    Raises:
        ValueError: it is no such list.
    """
    cores: set[int] = set()
    for piece in text.replace(",", " ").split():
        begin, dash, end = piece.partition("-")
        first, last = int(begin), int(end if dash else begin)
        if last > _LAST_CORE:
            raise ValueError(f"no device has a core {last}")
        cores.update(range(first, last + 1))
    return frozenset(cores)


def core_list(cores: Iterable[int]) -> str:
    """Write cores as `0-3,7`."""
    spans: list[list[int]] = []
    for core in sorted(cores):
        if spans and core == spans[-1][1] + 1:
            spans[-1][1] = core
        else:
            spans.append([core, core])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def mask(cores: Iterable[int]) -> str:
    """Write cores as `taskset` and a target's affinity do: hex, or `none`."""
    bits = sum(1 << core for core in set(cores))
    return f"{bits:x}" if bits else "none"
