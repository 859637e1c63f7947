"""A board's counters of energy are found, read and added up; samples of power are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.errors import PhoneUnusable
from device_agent.measuring.energy import EnergyChoice, EnergySource
from device_agent.phones.energy.board_counters import find_board_counter
from device_agent.phones.energy.counters import CounterMissing, PhoneCounter
from netspec.protocol import Delegate
from tests.boards.sysfs import shell_of

ZONE = "/sys/class/powercap/intel-rapl:0"
RAPL = {
    f"{ZONE}/name": "package-0",
    f"{ZONE}/energy_uj": "7000000",
    f"{ZONE}/max_energy_range_uj": "9000000",
    f"{ZONE}:0/name": "core",
    f"{ZONE}:0/energy_uj": "1000",
    f"{ZONE}:0/max_energy_range_uj": "9000000",
}
HWMON = {
    "/sys/class/hwmon/hwmon1/name": "sbsa",
    "/sys/class/hwmon/hwmon1/energy1_input": "5000000",
    "/sys/class/hwmon/hwmon1/energy1_label": "A57 cluster",
    "/sys/class/hwmon/hwmon1/energy2_input": "100",
    "/sys/class/hwmon/hwmon1/temp1_input": "41000",
}
IIO = {"/sys/bus/iio/devices/iio:device0/energy_value": "t=9\nCH0(T=9)[VDD_CPU], 1200"}
#: as a Jetson Orin has it
INA3221 = {
    "/sys/class/hwmon/hwmon3/name": "ina3221",
    "/sys/class/hwmon/hwmon3/curr1_input": "640",
    "/sys/class/hwmon/hwmon3/in1_input": "19000",
    "/sys/class/hwmon/hwmon4/name": "ina226",
    "/sys/class/hwmon/hwmon4/power1_input": "12160000",
    "/sys/class/hwmon/hwmon5/name": "nvme",
    "/sys/class/hwmon/hwmon5/curr1_input": "9",
}


def found(
    folder: Path,
    files: dict[str, str],
    source: EnergySource = "auto",
    rails: tuple[str, ...] = (),
    delegate: Delegate = "xnnpack",
) -> tuple[PhoneCounter, str]:
    """The counter, and what its command prints."""
    say = shell_of(folder, files)
    counter = find_board_counter(say, EnergyChoice(source, rails), "", delegate)
    return counter, say(counter.ask)


def joules(folder: Path, files: dict[str, str], later: dict[str, str], *rails: str) -> float | None:
    """mJ between the two states of the files."""
    counter, before = found(folder, files, rails=rails)
    after = shell_of(folder, later)(counter.ask)
    was, now = counter.parse(before), counter.parse(after)
    assert was is not None
    assert now is not None
    return counter.counter.difference_mj(was, now)


def test_packages_of_rapl_are_taken_by_themselves_and_followed_where_they_wrap(
    tmp_path: Path,
) -> None:
    counter, said = found(tmp_path, RAPL | HWMON | IIO)
    assert counter.counter.meter.name == "rapl package-0"
    assert counter.parse(said) == [7_000_000]
    assert joules(tmp_path, RAPL, {f"{ZONE}/energy_uj": "500000"}) == pytest.approx(2500.0)


@pytest.mark.parametrize(
    ("rails", "later", "name", "mj"),
    [
        (("package-0/core",), {f"{ZONE}:0/energy_uj": "4000"}, "rapl package-0/core", 3.0),
        (
            ("sbsa/energy2", "sbsa/A57-cluster"),
            {
                "/sys/class/hwmon/hwmon1/energy1_input": "5002000",
                "/sys/class/hwmon/hwmon1/energy2_input": "600",
            },
            "hwmon sbsa/A57-cluster+sbsa/energy2",
            2.5,
        ),
        (
            ("VDD_CPU",),
            {"/sys/bus/iio/devices/iio:device0/energy_value": "t=20\nCH0(T=20)[VDD_CPU], 3200"},
            "odpm VDD_CPU",
            2.0,
        ),
    ],
)
def test_counters_are_named_and_added_up(
    tmp_path: Path, rails: tuple[str, ...], later: dict[str, str], name: str, mj: float
) -> None:
    files = RAPL | HWMON | IIO
    assert found(tmp_path, files, rails=rails)[0].counter.meter.name == name
    assert joules(tmp_path, files, later, *rails) == pytest.approx(mj)


@pytest.mark.parametrize("text", ["", "7000000\n7000000", "none", "-1"])
def test_what_is_no_count_is_no_reading(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, RAPL)[0].parse(text) is None


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, ["no counter of energy that is known to count here"]),
        (HWMON, ["by hwmon it has sbsa/A57-cluster, sbsa/energy2: name what runs your models"]),
        (IIO, ["by odpm it has VDD_CPU: name what runs your models with --energy-rail"]),
        (INA3221, ["ina226/power1, ina3221/curr1 tell samples of power, which are no counters"]),
        (RAPL | {f"{ZONE}/energy_uj": ""}, ["energy_uj is root's alone: `chmod a+r"]),
    ],
)
def test_without_a_counter_that_is_known_there_is_none_and_why_is_said(
    tmp_path: Path, files: dict[str, str], says: list[str]
) -> None:
    with pytest.raises(CounterMissing) as raised:
        found(tmp_path, files)
    text = str(raised.value)
    assert [words for words in says if words not in text] == []
    assert "nvme" not in text
    assert ("samples" in text) == (files is INA3221)


def test_samples_of_power_that_are_asked_for_are_refused_by_name(tmp_path: Path) -> None:
    for rail in ("ina226/power1", "ina3221/curr1"):
        with pytest.raises(PhoneUnusable, match=f"{rail}.* samples of power, which are no counter"):
            found(tmp_path, INA3221, rails=(rail,))


def test_two_counters_that_are_called_alike_are_not_told_apart(tmp_path: Path) -> None:
    twice = HWMON | {
        "/sys/class/hwmon/hwmon2/name": "sbsa",
        "/sys/class/hwmon/hwmon2/energy2_input": "7",
    }
    with pytest.raises(PhoneUnusable, match="by hwmon it has sbsa/A57-cluster: "):
        found(tmp_path, twice, "hwmon", ("sbsa/energy2",))


@pytest.mark.parametrize("source", ["power_stats", "fuel_gauge"])
def test_counters_of_phones_are_refused(tmp_path: Path, source: EnergySource) -> None:
    with pytest.raises(PhoneUnusable, match=f"--energy {source} counts nothing on boards"):
        found(tmp_path, RAPL, source)


def test_what_a_gpu_draws_from_is_named_by_the_user(tmp_path: Path) -> None:
    with pytest.raises(CounterMissing, match=r"by rapl it has package-0, package-0/core: name"):
        found(tmp_path, RAPL, delegate="gpu")
    named, _ = found(tmp_path, RAPL, rails=("package-0",), delegate="gpu")
    assert named.counter.meter.rails == ("package-0",)


def test_a_source_that_is_not_there_is_refused_though_another_is(tmp_path: Path) -> None:
    with pytest.raises(PhoneUnusable, match="the board has no counter of energy"):
        found(tmp_path, RAPL, "hwmon")
