import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.cpu_zones import is_cpu_zone, zone_celsius
from device_agent.phones.properties import own_number, parse_properties
from device_agent.phones.readings import parse_battery, parse_thermal
from device_agent.phones.script import (
    ScriptedLaunch,
    finished_visits,
    kill_command,
    script_text,
    visit_in_flight,
)
from netspec.wire import Conditions
from tests.phones.state import PhoneState


def test_properties_name_the_phone() -> None:
    text = "\n".join(f"[{name}]: [{value}]" for name, value in PhoneState().properties().items())
    found = parse_properties(text)
    assert (found.model, found.soc, found.sdk) == ("Testers Pixel Test", "TestSoC 9000", 31)
    assert found.abis == ("arm64-v8a",)
    assert parse_properties("").model == "unknown"
    same = "[ro.product.manufacturer]: [Xiaomi]\n[ro.product.model]: [Xiaomi 13]"
    assert parse_properties(same).model == "Xiaomi 13"


def test_the_thermal_service_is_read_as_android_prints_it() -> None:
    text = PhoneState(thermal_status=2, cpu_celsius=61.5).dumpsys("thermalservice")
    assert text is not None
    found = parse_thermal(text)
    assert (found.thermal_status, found.cpu_celsius) == (2, 61.5)
    overridden = PhoneState(thermal_override=True).dumpsys("thermalservice")
    assert overridden is not None
    assert parse_thermal(overridden).thermal_status is None
    assert parse_thermal("Can't find service: thermalservice") == Conditions()


def test_the_battery_is_read_in_percent_and_degrees() -> None:
    text = PhoneState(battery_level=42, battery_celsius=36.4).dumpsys("battery")
    assert text is not None
    found = parse_battery(text)
    assert (found.battery_percent, found.battery_celsius) == (42, 36.4)
    assert parse_battery("  level: 60\n  scale: 120").battery_percent == 50
    assert parse_battery("Can't find service: battery") == Conditions()


@pytest.mark.parametrize(
    ("text", "celsius"),
    [
        ("38000", 38.0),
        ("385", 38.5),
        ("38", 38.0),
        ("2", None),
        ("150000", None),
        ("0", None),
        ("-40000", None),
        ("", None),
    ],
)
def test_zones_count_in_thousandths_tenths_or_degrees(text: str, celsius: float | None) -> None:
    assert zone_celsius(text) == celsius


@pytest.mark.parametrize(
    "kind",
    [
        "cpu-0-0-usr",
        "mtktscpu",
        "soc_thermal",
        "BIG",
        "MID",
        "LITTLE",
        "tsens_tz_sensor4",
        "cpuss-1",
    ],
)
def test_cpu_zones_are_known_by_name(kind: str) -> None:
    assert is_cpu_zone(kind)
    assert is_cpu_zone(kind, "95000")
    assert is_cpu_zone(kind, "0")
    # A trip point at 10 degrees is that of a percentage, or of something cold.
    assert not is_cpu_zone(kind, "10000")


@pytest.mark.parametrize(
    "kind", ["soc", "battery", "gpu0", "bms", "cpu-1-max-step", "quiet_therm", "pm8998_tz", "modem"]
)
def test_what_is_no_cpu_is_none(kind: str) -> None:
    assert not is_cpu_zone(kind)


def test_a_status_without_a_hal_is_none() -> None:
    text = PhoneState().dumpsys("thermalservice")
    assert text is not None
    assert parse_thermal(text).thermal_status == 0
    assert parse_thermal(text.replace("HAL Ready: true", "HAL Ready: false")).thermal_status is None


@pytest.mark.parametrize(("tenths", "celsius"), [(265, 26.5), (26, None), (100, 10.0), (-50, None)])
def test_a_battery_that_counts_in_degrees_is_not_believed(
    tenths: int, celsius: float | None
) -> None:
    assert parse_battery(f"  level: 60\n  temperature: {tenths}\n").battery_celsius == celsius


@pytest.mark.parametrize(
    ("number", "own"),
    [
        ("R58M12345AB", True),
        ("1234567890ABCDEF", False),
        ("0123456789abcdef", False),
        ("123456789", False),
        ("0000000000", False),
        ("unknown", False),
        ("", False),
        ("12345", True),
    ],
)
def test_factory_numbers_are_nobodys(number: str, own: bool) -> None:
    assert own_number(number) == (number if own else "")


LAUNCH = ScriptedLaunch(
    "/t/s", "/t/m", ("taskset", "80", "/t/r"), ("--num_runs=10",), ("/proc/uptime",), "@k"
)
WRITTEN = """@k begin 0
/proc/uptime 12.5 80.1
@k run 0
INFO: STARTING!
@k end 1 0
still the runner's

@k end 0 0
/proc/uptime 13.1 80.2
@k done 0
@k begin 1
/proc/uptime 13.2 81
@k run 1
no newline at its end
@k end 1 134
/proc/uptime 14 82
@k done 1
@k begin 2
/proc/uptime 15 83
@k run 2
INFO: count=
"""


def test_finished_visits_are_read_and_the_one_in_flight_left_out() -> None:
    first, second = finished_visits(WRITTEN, "@k")
    assert (first.index, first.launch.exit_code) == (0, 0)
    assert first.before == {"/proc/uptime": "12.5 80.1"}
    assert first.after == {"/proc/uptime": "13.1 80.2"}
    assert "still the runner's" in first.launch.output
    assert first.profile is None
    assert (second.index, second.launch.exit_code) == (1, 134)
    assert second.launch.output.strip() == "no newline at its end"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(WRITTEN)))
def test_however_far_the_script_came_no_visit_is_made_up(at: int) -> None:
    whole = list(finished_visits(WRITTEN, "@k"))
    found = list(finished_visits(WRITTEN[:at], "@k"))
    assert found == whole[: len(found)]


def test_the_visit_in_flight_is_known_with_what_was_seen_before_it() -> None:
    assert visit_in_flight(WRITTEN, "@k") == (2, {"/proc/uptime": "15 83"})
    whole = WRITTEN[: WRITTEN.index("@k begin 2")]
    assert visit_in_flight(whole, "@k") is None
    assert visit_in_flight("", "@k") is None
    assert visit_in_flight(whole + "@k begin 2", "@k") is None


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, as on a phone")
@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({}, True),
        ({"boot": Path("/proc/sys/kernel/random/boot_id").read_text}, True),
        ({"boot": lambda: "before the restart\n"}, False),
        ({"over": lambda: "over\n"}, False),
    ],
)
def test_only_a_script_that_runs_since_this_start_is_ended(
    tmp_path: Path, files: dict[str, Callable[[], str]], ends: bool
) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as script:
        (tmp_path / "pid").write_text(f"{script.pid}\n")
        for name, text in files.items():
            (tmp_path / name).write_text(text())
        said = subprocess.run(["sh", "-c", kill_command(str(tmp_path))], check=False)
        assert (said.returncode == 0) == ends
        if not ends:
            assert script.poll() is None
            script.kill()
        assert script.wait(10) == -9


PROFILED = """@k begin 0
@k run 0
plain

@k end 0 0
/proc/uptime 13.1 80.2
@k profile 0
INFO: the profile

@k profiled 0 3
@k done 0
"""


def test_a_profile_stands_beside_its_visit() -> None:
    (visit,) = finished_visits(PROFILED, "@k")
    assert visit.launch.output.strip() == "plain"
    assert visit.after == {"/proc/uptime": "13.1 80.2"}
    assert visit.profile is not None
    assert (visit.profile.exit_code, visit.profile.output.strip()) == (3, "INFO: the profile")
    for at in range(len(PROFILED)):
        assert list(finished_visits(PROFILED[:at], "@k")) == []


def test_only_the_visits_asked_for_are_profiled() -> None:
    assert "profile" not in script_text(LAUNCH, ["a.tflite"])
    text = script_text(replace(LAUNCH, profiled=(1, 4), profile_flags=("--p=1",)), ["a.tflite"])
    assert "for profiled in 1 4; do" in text
    assert "taskset 80 /t/r --graph=/t/m/$model --p=1 2>&1" in text


def test_the_script_quotes_what_it_is_given() -> None:
    text = script_text(LAUNCH, ["a b.tflite"])
    assert "for model in 'a b.tflite'; do" in text
    assert "taskset 80 /t/r --graph=/t/m/$model --num_runs=10 2>&1" in text
