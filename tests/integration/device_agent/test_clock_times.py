"""Clocks around visits are told by how long cores had them, where a phone keeps count."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.transports.read_files import parse_values, read_tables_command
from tests.integration.device_agent.fake_runner import PROGRAM
from tests.integration.device_agent.phone_bench import PhoneBench, phone_bench
from tests.phones.clock_table import ClockTable
from tests.phones.fake_phone import FakePhone


def visited(bench: PhoneBench, table: ClockTable, *passed: dict[str, int]) -> list[str]:
    """Why each of so many visits is rejected, in which the core had clocks for these ticks."""
    bench.runner.before.append(lambda number: table.passes(**passed[min(number, len(passed)) - 1]))
    bench.lease({"a": len(passed)})
    bench.run()
    return [visit.rejected for visit in bench.peer.visits][: len(passed)]


def test_a_locked_core_that_had_another_clock_within_a_visit_is_noticed(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.state.root = True
    table = ClockTable(fake_phone)
    table.install()
    steady = {"fast": 15}
    with phone_bench(fake_phone, tmp_path) as bench:
        found = visited(
            bench,
            table,
            steady,
            {"fast": 10, "middle": 4, "slow": 1},
            {"fast": 14, "slow": 1},
            steady,
        )
        # The limits say nothing of it; a tick may be the one of the visit before.
        assert [bool(why) for why in found] == [False, True, False, False]
        assert found[1] == (
            "core 7 had another clock than its locked 2840 MHz for 33% of this visit, "
            "mostly 1300 MHz"
        )
        assert bench.peer.outcomes() == {"a": "done"}


@pytest.mark.parametrize("passed", [{"slow": 15}, {}])
def test_a_table_that_the_kernel_does_not_keep_up_is_not_believed(
    fake_phone: FakePhone, tmp_path: Path, passed: dict[str, int]
) -> None:
    fake_phone.state.root = True
    table = ClockTable(fake_phone)
    table.install()
    with phone_bench(fake_phone, tmp_path) as bench:
        assert visited(bench, table, passed, passed) == ["", ""]
        assert {visit.after.cpu_mhz for visit in bench.peer.visits} == {2840.0}


def test_a_free_clock_is_recorded_as_its_mean_over_the_visit(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    table = ClockTable(fake_phone)
    table.install()
    fake_phone.state.sdk = 29
    with phone_bench(fake_phone, tmp_path) as bench:
        assert bench.agent.bench.device.identity.clock_policy == "free"
        assert visited(bench, table, {"fast": 15, "middle": 5}) == [""]
        (visit,) = bench.peer.visits
        assert visit.before.cpu_mhz == 2840.0
        assert visit.after.cpu_mhz == pytest.approx((15 * 2840 + 5 * 1300) / 20)


def test_every_clock_domain_of_the_measured_cores_is_looked_at(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    for core, domain in ((4, "4 5 6"), (5, "4 5 6"), (6, "4 5 6"), (7, "7")):
        folder = f"/sys/devices/system/cpu/cpu{core}/cpufreq"
        fake_phone.state.more_files |= {
            f"{folder}/related_cpus": domain,
            f"{folder}/stats/time_in_state": "300000 1",
        }
    for threads, wanted in ((1, (7,)), (4, (4, 7))):
        with phone_bench(fake_phone, tmp_path, choice=Choice(PROGRAM, threads=threads)) as bench:
            device = bench.agent.bench.device
            assert isinstance(device, Phone)
            assert device._probed.reader.tables == wanted


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_real_shell_reads_tables_as_a_phones_does(tmp_path: Path, shell: str) -> None:
    table = tmp_path / "time_in_state"
    table.write_text("300000 12\n2840000 7\n")
    command = read_tables_command([str(table), str(tmp_path / "none")])
    said = subprocess.run([shell, "-c", command], check=False, capture_output=True, text=True)
    assert parse_values(said.stdout) == {f"{table}/300000": "12", f"{table}/2840000": "7"}
    assert said.stderr == ""
