"""A board's counters of energy: RAPL, sensors that count (hwmon), and power monitors of IIO.

Source: Linux's `Documentation/ABI/testing/sysfs-class-hwmon`: `energy*_input` is cumulative, in uJ;
`power*_input` is a sample, in uW.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from device_agent.errors import PhoneUnusable
from device_agent.measuring.energy import EnergyChoice, RailCounters
from device_agent.measuring.rapl_zones import RAPL_FILES, ZonesMissing, rapl_counters, rapl_zones
from device_agent.phones.energy.counters import (
    ON_CPU,
    CounterMissing,
    PhoneCounter,
    meter_of,
    odpm_counter,
    rails_of,
)
from device_agent.transports.read_files import parse_values, read_pattern_command
from netspec.protocol import Delegate

_HWMON = "/sys/class/hwmon/hwmon*"
#: a board's power monitors that sample are Texas Instruments' for the most part: Jetsons' INA3221
_SENSORS = ("energy*_input", "energy*_label", "power*_input", "power*_average", "curr*_input")
_ASK_RAPL = read_pattern_command(" ".join(RAPL_FILES))
_ASK_HWMON = read_pattern_command(" ".join(f"{_HWMON}/{name}" for name in ("name", *_SENSORS)))
_COUNTED = re.compile(r"(?P<chip>.+)/(?P<sensor>energy[0-9]+)_input")
_SAMPLED = re.compile(r"(?P<chip>.+)/(?P<sensor>(?:power|curr)[0-9]+)_(?:input|average)")
#: a chip whose currents are of supplies
_POWER_CHIP = re.compile(r"^ina[0-9]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.:-]+")
_SOURCES = ("auto", "rapl", "hwmon", "odpm")


def find_board_counter(
    say: Callable[[str], str], choice: EnergyChoice, _soc: str, delegate: Delegate
) -> PhoneCounter:
    """The counter to read; packages of RAPL unless rails are named.

    Args:
        say: what a command prints on the board.
        choice: what the user chose; not `off`.
        delegate: that runs models.

    Raises:
        CounterMissing: the user chose none, and none is known.
        PhoneUnusable: the board has not what the user chose.
    """
    if choice.source not in _SOURCES:
        raise PhoneUnusable(
            f"--energy {choice.source} counts nothing on boards; they have rapl, hwmon and odpm"
        )
    there: list[str] = []
    if choice.source in ("auto", "rapl"):
        try:
            return _rapl(say, choice, delegate)
        except ZonesMissing as error:
            there += [*_listed("rapl", error.domains), *filter(None, [error.closed])]
    sensors = parse_values(say(_ASK_HWMON))
    if choice.source in ("auto", "hwmon"):
        files = _energy_files(sensors)
        if choice.rails and files.keys() >= set(choice.rails):
            return _hwmon(files, choice.rails)
        there += _listed("hwmon", files)
    if choice.source in ("auto", "odpm"):
        rails = rails_of(say, "odpm")
        if choice.rails and rails >= set(choice.rails):
            return odpm_counter(choice.rails)
        there += _listed("odpm", rails)
    if samples := sorted(_samples(sensors)):
        there.append(
            f"{', '.join(samples)} tell samples of power, which are no counters: what lies "
            "between two samples would be guessed"
        )
    wanted = f" of {', '.join(choice.rails)}" if choice.rails else " that is known to count here"
    text = "; ".join([f"the board has no counter of energy{wanted}", *there])
    raise (CounterMissing if choice == EnergyChoice() else PhoneUnusable)(text)


def _rapl(say: Callable[[str], str], choice: EnergyChoice, delegate: Delegate) -> PhoneCounter:
    values = {path: text for path, text in parse_values(say(_ASK_RAPL)).items() if "*" not in path}
    if not choice.rails and delegate not in ON_CPU:
        domains, is_closed = rapl_zones(values)
        raise ZonesMissing(domains, is_closed=is_closed)
    return _files_counter(*rapl_counters(choice, values))


def _hwmon(files: Mapping[str, str], rails: Sequence[str]) -> PhoneCounter:
    meter = meter_of("hwmon", rails)
    return _files_counter(RailCounters(meter), [files[rail] for rail in meter.rails])


def _files_counter(counter: RailCounters, files: Sequence[str]) -> PhoneCounter:
    """Of files with a count each."""

    def parse(said: str) -> Sequence[float] | None:
        lines = said.split()
        counts = [float(line) for line in lines if line.isdecimal()]
        return counts if len(counts) == len(lines) == len(files) else None

    return PhoneCounter(counter, shlex.join(["cat", *files]), "", parse)


def _energy_files(values: Mapping[str, str]) -> dict[str, str]:
    """Files of counters by rail, `CHIP/LABEL`; those that are called alike are left out."""
    rails = [
        (f"{_chip(values, path)}/{label}", path)
        for path, match in _matches(values, _COUNTED)
        if (label := _name(values.get(path.replace("_input", "_label"), "")) or match["sensor"])
    ]
    times = Counter(rail for rail, _ in rails)
    return {rail: path for rail, path in rails if times[rail] == 1}


def _samples(values: Mapping[str, str]) -> set[str]:
    """Sensors that tell power, or currents of supplies, of a moment: `CHIP/SENSOR`."""
    return {
        f"{chip}/{match['sensor']}"
        for path, match in _matches(values, _SAMPLED)
        if (chip := _chip(values, path))
        and (match["sensor"].startswith("power") or _POWER_CHIP.match(chip))
    }


def _matches(
    values: Mapping[str, str], pattern: re.Pattern[str]
) -> Iterator[tuple[str, re.Match[str]]]:
    """Files whose names match, and that say a number."""
    for path, text in values.items():
        match = pattern.fullmatch(path)
        if match is not None and text.isdecimal():
            yield path, match


def _chip(values: Mapping[str, str], path: str) -> str:
    return _name(values.get(f"{path.rpartition('/')[0]}/name", ""))


def _name(text: str) -> str:
    """As rails may be called."""
    return _NO_NAME.sub("-", text.strip()).strip("-")


def _listed(method: str, rails: Iterable[str]) -> list[str]:
    """The rails that a method has, for people; nothing where it has none."""
    names = ", ".join(sorted(rails))
    return [f"by {method} it has {names}: name what runs your models with --energy-rail"] * bool(
        names
    )
