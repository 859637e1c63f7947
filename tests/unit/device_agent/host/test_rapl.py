"""Energy of this machine's processors: found, read at its steps, wrapped, refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from device_agent.errors import NoSuchDevice, VisitFailed
from device_agent.host.rapl import Rapl, describe_rapl, find_rapl
from device_agent.measuring.energy import (
    EnergyChoice,
    EnergySource,
    RailCounters,
    Reading,
    Resolution,
    upload_of,
)
from netspec.operators import HeadConv
from netspec.protocol import MeasurementProtocol
from netspec.wire import EnergyEstimate, EnergyMeter, EnergySubject, OperatorSubject

SUBJECT = EnergySubject(
    subject=OperatorSubject(operator=HeadConv(input_size=4, in_channels=8, out_channels=8)),
    windows=6,
    seconds=2.0,
)
RANGE = 30_000_000


@dataclass
class Machine:
    """Its clock is its own; what it has taken is in a file whenever time passes."""

    folder: Path
    at_s: float = 0.0
    mj: float = 0.0
    idle_mw: float = 4000.0
    inference_mj: float = 3.0

    def zone(self, name: str, domain: str = "") -> Path:
        zone = self.folder / "sys/class/powercap" / f"intel-rapl:{domain or '0'}"
        zone.mkdir(parents=True)
        (zone / "name").write_text(name)
        (zone / "max_energy_range_uj").write_text(str(RANGE))
        self.file = zone / "energy_uj"
        self.spend(0.0, 0.0)
        return zone

    def spend(self, seconds: float, mj: float) -> None:
        self.at_s += seconds
        self.mj += mj + self.idle_mw * seconds
        self.file.write_text(str(int(self.mj * 1000) % RANGE))

    def launch(self, protocol: MeasurementProtocol) -> tuple[int, float]:
        runs = max(protocol.min_runs, min(protocol.max_runs, round(protocol.measure_ms)))
        self.spend(0.3 + runs / 1000, 500.0 + runs * self.inference_mj)
        return runs, 1000.0

    def rapl(self, choice: EnergyChoice | None = None) -> Rapl:
        found = find_rapl(choice or EnergyChoice(), self.folder)
        assert found is not None
        return replace(found, clock=lambda: self.at_s, sleep=lambda s: self.spend(s, 0.0))


def test_known_joules_are_recovered_though_the_counter_wraps(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.zone("package-0")
    rapl = machine.rapl()
    found = rapl.count(SUBJECT, MeasurementProtocol(), machine.launch, lambda: True)
    assert found is not None
    assert machine.mj * 1000 > 3 * RANGE
    upload = upload_of("lease-1", rapl.counter, *found)
    assert upload.meter.name == "rapl package-0"
    estimate = EnergyEstimate.of(upload.rounds, upload.last_idle)
    assert estimate.value_mj == pytest.approx(3.0, rel=0.001)
    assert estimate.idle_mw == pytest.approx(4000.0, rel=0.001)


def test_a_step_between_the_reads_of_two_files_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = (tmp_path / "0", tmp_path / "1")
    said = {packages[0]: iter(["10", "15", "15"]), packages[1]: iter(["20", "20", "25"])}
    monkeypatch.setattr(Path, "read_text", lambda path: next(said[path]))
    counter = RailCounters(EnergyMeter(method="rapl", rails=("package-0", "package-1")))
    rapl = Rapl(counter, packages, clock=lambda: 0.0, sleep=lambda _: None)
    assert rapl.read(1.0).values == [15.0, 25.0]


def test_a_stop_ends_the_windows(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.zone("package-0")
    answers = iter([True, True, True, False])
    assert (
        machine.rapl().count(
            SUBJECT, MeasurementProtocol(), machine.launch, lambda: next(answers, False)
        )
        is None
    )


def test_a_counter_that_stands_still_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path, idle_mw=0.0)
    machine.zone("package-0")
    rapl = replace(machine.rapl(), sleep=lambda _: machine.spend(0.1, 0.0))
    with pytest.raises(VisitFailed, match="no step within 2 s"):
        rapl.count(SUBJECT, MeasurementProtocol(), machine.launch, lambda: True)


def test_domains_are_named_by_their_package(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.zone("package-0")
    machine.zone("core", "0:0")
    assert machine.rapl().counter.meter.rails == ("package-0",)
    chosen = EnergyChoice("rapl", ("package-0/core",))
    assert machine.rapl(chosen).counter.meter.rails == ("package-0/core",)


def test_what_is_not_there_is_named_if_it_was_asked_for(tmp_path: Path) -> None:
    assert find_rapl(EnergyChoice(), tmp_path) is None
    with pytest.raises(NoSuchDevice, match="tells of none"):
        find_rapl(EnergyChoice("rapl"), tmp_path)
    machine = Machine(tmp_path)
    machine.zone("package-0")
    assert find_rapl(EnergyChoice("off"), tmp_path) is None
    with pytest.raises(NoSuchDevice, match="it has package-0"):
        find_rapl(EnergyChoice("auto", ("dram",)), tmp_path)


@pytest.mark.parametrize("source", ["odpm", "power_stats", "fuel_gauge", "hwmon"])
def test_counters_of_other_devices_are_not_taken_for_this_machines(
    tmp_path: Path, source: EnergySource
) -> None:
    Machine(tmp_path).zone("package-0")
    with pytest.raises(NoSuchDevice, match=f"--energy {source} counts nothing on this machine"):
        find_rapl(EnergyChoice(source), tmp_path)


def test_a_machine_says_how_finely_its_counters_tell_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path)
    zone = machine.zone("package-0")
    counts = iter(range(10**9))
    # Each look is another step: as fine as looks follow each other.
    monkeypatch.setattr(Rapl, "_values", lambda _: [float(next(counts))])
    said = describe_rapl(tmp_path)
    assert said.startswith("rapl package-0 steps every ")
    assert said.endswith("% of a window of 2 s open")
    (zone / "energy_uj").unlink()
    assert "energy_uj is root's alone: `chmod a+r" in describe_rapl(tmp_path)
    assert "no such counters of energy (it tells of none)" in describe_rapl(tmp_path / "nothing")


def test_how_much_a_counter_leaves_open_follows_from_its_steps(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.zone("package-0")
    readings = [
        Reading(at_s, [0.0], open_s) for at_s, open_s in ((0.0, 0.02), (0.1, 0.1), (0.2, 0.05))
    ]
    found = Resolution.of(machine.rapl().counter, readings)
    assert found.period_s == pytest.approx(0.1)
    assert (found.open_s, found.share) == (0.1, 0.1)
    # Two ends of a window, each off by 0.1 s, are 5 % of 4 s.
    assert found.fine_s == pytest.approx(4.0)
    assert (
        str(found)
        == "rapl package-0 steps every 100 ms, which leaves 10.0% of a window of 2 s open"
    )
