"""Which counters of a processor's energy (RAPL) are read, from what Linux's powercap tells.

Source: Linux's `Documentation/power/powercap/powercap.rst`: a folder a domain, `energy_uj` in uJ,
which begins anew at `max_energy_range_uj`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from device_agent.measuring.energy import EnergyChoice, RailCounters
from netspec.wire import EnergyMeter

#: files of all domains, as a shell names them
RAPL_FILES = tuple(
    f"/sys/class/powercap/intel-rapl:*/{name}"
    for name in ("name", "energy_uj", "max_energy_range_uj")
)
#: packages hold all that a processor takes; `psys` holds them and more
_PACKAGE = "package"
_CLOSED = "energy_uj is root's alone: `chmod a+r /sys/class/powercap/*/energy_uj`"


class ZonesMissing(Exception):
    """The machine has not the domains that are wanted."""

    def __init__(self, domains: Iterable[str], *, is_closed: bool) -> None:
        #: that can be read
        self.domains = sorted(domains)
        #: why some cannot be read, and what to do; empty where all can
        self.closed = _CLOSED if is_closed else ""
        has = f"it has {', '.join(self.domains)}" if self.domains else "it tells of none"
        super().__init__("; ".join(filter(None, (has, self.closed))))


def rapl_zones(values: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """The folders of domains that can be read, by their names, and whether others cannot.

    Args:
        values: of `RAPL_FILES`, by path; empty where one cannot be read.
    """
    found: dict[str, str] = {}
    is_closed = False
    for path in sorted(path for path in values if path.endswith("/name")):
        zone, name = path.removesuffix("/name"), values[path]
        # A domain inside a package is called the same in each.
        parent = values.get(f"{zone.rpartition(':')[0]}/name", "")
        if values.get(f"{zone}/energy_uj", "").isdigit():
            found[f"{parent}/{name}" if parent else name] = zone
        elif name:
            is_closed = True
    return found, is_closed


def rapl_counters(
    choice: EnergyChoice, values: Mapping[str, str]
) -> tuple[RailCounters, tuple[str, ...]]:
    """The counters to read, and their files.

    Args:
        choice: what the user chose; packages where no domain is named.
        values: of `RAPL_FILES`, by path; empty where one cannot be read.

    Raises:
        ZonesMissing: they are not there, or cannot be read.
    """
    found, is_closed = rapl_zones(values)
    rails: Sequence[str] = choice.rails or [name for name in found if name.startswith(_PACKAGE)]
    rails = sorted({one for one in rails if "/" not in one or choice.rails})
    if not rails or not found.keys() >= set(rails):
        raise ZonesMissing(found, is_closed=is_closed)
    meter = EnergyMeter(method="rapl", rails=tuple(rails))
    ranges = [float(values.get(f"{found[one]}/max_energy_range_uj") or 0) for one in rails]
    counter = RailCounters(meter, ranges=ranges if all(ranges) else ())
    return counter, tuple(f"{found[one]}/energy_uj" for one in rails)
