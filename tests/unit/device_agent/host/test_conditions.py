from pathlib import Path

import pytest

from device_agent.host.conditions import HostConditions

CPUINFO = "processor\t: 0\ncpu MHz\t\t: 1000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 2800.25\n"


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_hottest_cpu_sensor_counts_and_silent_ones_do_not(tmp_path: Path) -> None:
    zones = tmp_path / "sys/class/thermal"
    for number, (kind, temp) in enumerate(
        [("x86_pkg_temp", "51000"), ("cpu-1-thermal", "0"), ("battery", "90000")]
    ):
        write(zones, f"thermal_zone{number}/type", kind + "\n")
        write(zones, f"thermal_zone{number}/temp", temp + "\n")
    for number, (name, temp) in enumerate([("coretemp", "64500"), ("nvme", "80000")]):
        write(tmp_path, f"sys/class/hwmon/hwmon{number}/name", name + "\n")
        write(tmp_path, f"sys/class/hwmon/hwmon{number}/temp1_input", temp + "\n")
    assert HostConditions(0, tmp_path)().cpu_celsius == 64.5


@pytest.mark.parametrize(
    ("files", "celsius"),
    [
        # The state of charge, in percent; a trip point that no processor has; a broken sensor.
        ({"type": "soc", "temp": "87000"}, None),
        ({"type": "soc-thermal", "temp": "47000", "trip_point_0_temp": "10000"}, None),
        ({"type": "cpu-thermal", "temp": "250000"}, None),
        ({"type": "soc-thermal", "temp": "47000", "trip_point_0_temp": "95000"}, 47.0),
        ({"type": "acpitz", "temp": "47000"}, None),
    ],
)
def test_a_zone_is_the_processors_by_type_trip_point_and_plausibility(
    tmp_path: Path, files: dict[str, str], celsius: float | None
) -> None:
    for name, text in files.items():
        write(tmp_path, f"sys/class/thermal/thermal_zone0/{name}", f"{text}\n")
    assert HostConditions(0, tmp_path)().cpu_celsius == celsius


def test_a_sensor_that_disappears_is_not_a_temperature(tmp_path: Path) -> None:
    write(tmp_path, "sys/class/thermal/thermal_zone0/type", "cpu_thermal\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "40000\n")
    observe = HostConditions(0, tmp_path)
    assert observe().cpu_celsius == 40.0
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").unlink()
    assert observe().cpu_celsius is None


def test_the_clock_is_that_of_the_measured_core(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", CPUINFO)
    assert HostConditions(1, tmp_path)().cpu_mhz == 2800.25
    assert HostConditions(7, tmp_path)().cpu_mhz is None
    write(tmp_path, "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "1200000\n")
    assert HostConditions(1, tmp_path)().cpu_mhz == 1200.0


def test_a_machine_without_proc_still_has_its_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (1.25, 2.0, 3.0))
    conditions = HostConditions(None, tmp_path)()
    assert conditions.load_1m == 1.25
    assert conditions.cpu_mhz is None
    assert conditions.cpu_celsius is None
