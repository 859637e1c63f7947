"""Energy on a phone that takes known joules an inference: recovered within 1 %, or refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device_agent.errors import PhoneUnusable
from device_agent.measuring.energy import EnergyChoice, EnergySource
from device_agent.phones.probe import Choice
from netspec.networks import Network
from netspec.operators import HeadConv
from netspec.wire import (
    EnergyEstimate,
    EnergySubject,
    EnergyUpload,
    Lease,
    LeasedTask,
    NetworkSubject,
)
from tests.integration.device_agent.fake_runner import PROGRAM
from tests.integration.device_agent.phone_bench import PhoneBench, phone_bench
from tests.phones.agent_files import ENERGY_JOURNAL, STRETCHES
from tests.phones.energy import EnergyLaw
from tests.phones.fake_phone import FakePhone

NETWORK = Network(name="one", operators=(HeadConv(input_size=4, in_channels=8, out_channels=8),))


@contextmanager
def metered(
    fake: FakePhone,
    folder: Path,
    source: EnergySource = "auto",
    rails: tuple[str, ...] = (),
    change: Callable[[EnergyLaw], None] = EnergyLaw.install,
) -> Iterator[tuple[PhoneBench, EnergyLaw]]:
    """A phone of a known SoC that is unplugged, in airplane mode with its Wi-Fi on."""
    fake.state.soc, fake.state.plugged = "Tensor", False
    fake.state.settings["global", "airplane_mode_on"] = "1"
    fake.stop_clock()
    law = EnergyLaw(fake)
    law.install()
    change(law)
    choice = Choice(PROGRAM, energy=EnergyChoice(source, rails))
    with phone_bench(fake, folder, choice=choice) as bench:
        bench.runner.energy = law
        bench.agent.bench.device.learn_methods()
        yield bench, law


def leased(bench: PhoneBench, windows: int = 6, seconds: float = 2.0) -> None:
    """The server has a network whose energy is wanted."""
    subject = EnergySubject(
        subject=NetworkSubject(network=NETWORK), windows=windows, seconds=seconds
    )
    task = LeasedTask(task_id="t", subject=subject, visits=1, method="energy")
    target_id = bench.agent.bench.device.identity.id
    bench.peer.leases.append(
        Lease(id="lease-1", fence=7, target_id=target_id, ttl_s=60.0, tasks=(task,))
    )


def found(bench: PhoneBench) -> EnergyEstimate:
    """What the server got."""
    assert bench.reasons() == []
    (upload,) = bench.peer.energies
    return EnergyEstimate.of(upload.rounds, upload.last_idle)


def within(estimate: EnergyEstimate, mj: float) -> None:
    assert estimate.value_mj == pytest.approx(mj, rel=0.01)
    assert estimate.low_mj <= estimate.value_mj <= estimate.high_mj


def test_known_joules_are_recovered(fake_phone: FakePhone, tmp_path: Path) -> None:
    with metered(fake_phone, tmp_path) as (bench, law):
        assert bench.agent.bench.device.methods[-1] == "energy"
        leased(bench)
        bench.run()
        assert bench.peer.outcomes() == {"t": "done"}
        within(found(bench), law.counted_mj)
        upload: EnergyUpload = bench.peer.energies[0]
    assert upload.meter.name == (
        "odpm S1M_VDD_MIF+S2M_VDD_CPUCL2+S3M_VDD_CPUCL1+S4M_VDD_CPUCL0+S5M_VDD_INT"
    )
    assert all(one.long.seconds >= 2 and one.long.runs >= 200 for one in upload.rounds)
    assert found(bench).idle_mw == pytest.approx(0.9 * 400.0, rel=0.01)
    # The phone is as it was.
    assert fake_phone.state.wakefulness == "Awake"
    assert fake_phone.files.names(str(STRETCHES)) == []
    assert fake_phone.files.find(str(ENERGY_JOURNAL)) is None


def test_the_screen_is_off_while_energy_is_counted(fake_phone: FakePhone, tmp_path: Path) -> None:
    seen: list[str] = []
    with metered(fake_phone, tmp_path) as (bench, _):
        bench.runner.before.append(lambda _: seen.append(fake_phone.state.wakefulness))
        leased(bench)
        bench.run()
    assert set(seen) == {"Asleep"}


@pytest.mark.parametrize(
    ("source", "rails"),
    [
        ("power_stats", ()),
        ("odpm", ("S2M_VDD_CPUCL2",)),
        ("power_stats", ("S2M_VDD_CPUCL2", "S1M_VDD_MIF")),
    ],
)
def test_the_user_names_counter_and_rails(
    fake_phone: FakePhone, tmp_path: Path, source: EnergySource, rails: tuple[str, ...]
) -> None:
    with metered(fake_phone, tmp_path, source, rails) as (bench, law):
        leased(bench)
        bench.run()
        share = sum(law.shares[rail] for rail in rails) if rails else 0.9
        within(found(bench), share * law.inference_mj)
        assert bench.peer.energies[0].meter.method == source


def drifts(law: EnergyLaw) -> None:
    law.idle_mj = lambda at_s: 400.0 * at_s + 0.5 * at_s**2


def waves(law: EnergyLaw) -> None:
    law.idle_mj = lambda at_s: 400.0 * at_s + 20.0 * math.sin(at_s)


def holds(law: EnergyLaw) -> None:
    law.holds_s = 0.7


def steps(law: EnergyLaw) -> None:
    law.shares = {**dict.fromkeys(law.shares, 0.0), "S2M_VDD_CPUCL2": 0.9, "VSYS_PWR_DISPLAY": 0.1}
    law.step = 50_000


def wraps(law: EnergyLaw) -> None:
    law.wraps_at = 12_000_000


def resets(law: EnergyLaw) -> None:
    now_s = law.phone.uptime_s
    law.resets_at_s = (now_s + 9.0, now_s + 20.0)


def costs_much_to_load(law: EnergyLaw) -> None:
    law.load_mj, law.load_s = 900.0, 0.6


def is_slow(law: EnergyLaw) -> None:
    law.run_us, law.inference_mj = 40_000, 55.0


@pytest.mark.parametrize(
    "change",
    [drifts, waves, holds, steps, wraps, resets, costs_much_to_load, is_slow],
)
def test_faulty_counters_and_restless_phones(
    fake_phone: FakePhone, tmp_path: Path, change: Callable[[EnergyLaw], None]
) -> None:
    with metered(fake_phone, tmp_path, change=change) as (bench, law):
        leased(bench, windows=12)
        bench.run()
        within(found(bench), law.counted_mj)


def never_steps(law: EnergyLaw) -> None:
    law.holds_s = 30.0


def jumps(law: EnergyLaw) -> None:
    law.idle_mj = lambda at_s: 600.0 * at_s + 400.0 * math.sin(1.3 * at_s)


def takes_nothing(law: EnergyLaw) -> None:
    law.inference_mj = 0.0


def resets_often(law: EnergyLaw) -> None:
    now_s = law.phone.uptime_s
    law.resets_at_s = tuple(now_s + one for one in range(1, 200, 3))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (never_steps, "too coarse"),
        (jumps, "while nothing runs changed"),
        (takes_nothing, "no more than nothing"),
        (resets_often, "set back"),
    ],
)
def test_what_cannot_be_told_is_refused(
    fake_phone: FakePhone, tmp_path: Path, change: Callable[[EnergyLaw], None], why: str
) -> None:
    with metered(fake_phone, tmp_path, change=change) as (bench, _):
        leased(bench)
        bench.run()
        assert bench.peer.energies == []
        assert bench.peer.outcomes() == {"t": "failed"}
        assert why in bench.reasons()[0]


def test_a_coarse_counter_is_enough_for_longer_windows(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with metered(fake_phone, tmp_path, change=never_steps) as (bench, law):
        leased(bench, seconds=40.0)
        bench.run()
        within(found(bench), law.counted_mj)


def test_the_fuel_gauge_is_the_coarse_way(fake_phone: FakePhone, tmp_path: Path) -> None:
    with metered(fake_phone, tmp_path, "fuel_gauge") as (bench, law):
        leased(bench, seconds=5.0)
        bench.run()
        within(found(bench), law.inference_mj)
        assert bench.peer.energies[0].meter.name == "fuel_gauge battery"


def test_a_phone_that_charges_is_refused(fake_phone: FakePhone, tmp_path: Path) -> None:
    with metered(fake_phone, tmp_path) as (bench, _):
        fake_phone.state.plugged = True
        leased(bench)
        bench.run()
        assert bench.peer.outcomes() == {"t": "unfinished"}
        assert bench.peer.energies == []


def test_one_that_is_plugged_in_meanwhile_is_refused(fake_phone: FakePhone, tmp_path: Path) -> None:
    with metered(fake_phone, tmp_path) as (bench, _):

        def plug_in(launch: int) -> None:
            fake_phone.state.plugged = launch > 5

        bench.runner.before.append(plug_in)
        leased(bench)
        bench.run()
        assert "charges" in bench.reasons()[0]
        assert bench.peer.energies == []


def test_radios_that_are_on_are_refused_where_the_phone_is_reached_by_them(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with metered(fake_phone, tmp_path) as (bench, _):
        fake_phone.state.settings["global", "airplane_mode_on"] = "0"
        leased(bench)
        bench.run()
        assert bench.peer.outcomes() == {"t": "unfinished"}
        assert fake_phone.state.settings["global", "airplane_mode_on"] == "0"


def test_an_unknown_soc_offers_no_energy(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.state.plugged = False
    EnergyLaw(fake_phone).install()
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.agent.bench.device.learn_methods()
        assert "energy" not in bench.agent.bench.device.methods


def test_a_rail_that_is_not_there_is_named(fake_phone: FakePhone, tmp_path: Path) -> None:
    with (
        pytest.raises(PhoneUnusable, match=r"VDD_NONE.*it has .*S2M_VDD_CPUCL2.*--energy-rail"),
        metered(fake_phone, tmp_path, "odpm", ("VDD_NONE",)),
    ):
        pass
