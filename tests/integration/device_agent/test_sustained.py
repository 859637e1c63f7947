"""Runs without pause: on this machine, and on a phone that warms up by a known law."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.host.identity import host_device
from device_agent.measuring import sustained
from device_agent.runners.base import Measured
from netspec.networks import Network
from netspec.operators import HeadConv
from netspec.protocol import MeasurementProtocol, steady
from netspec.wire import (
    Lease,
    LeasedTask,
    ModelSubject,
    NetworkSubject,
    SpeedOverTime,
    SustainedSubject,
)
from tests.integration.device_agent.models import block_file
from tests.integration.device_agent.phone_bench import NO_ANCHOR, PhoneBench, phone_bench
from tests.phones.agent_files import STRETCHES
from tests.phones.fake_phone import FakePhone
from tests.phones.thermal import ThermalCurve

NETWORK = Network(name="one", operators=(HeadConv(input_size=4, in_channels=8, out_channels=8),))


def always() -> bool:
    return True


def leased(bench: PhoneBench, minutes: float) -> None:
    """The server has a network to run without pause."""
    subject = SustainedSubject(subject=NetworkSubject(network=NETWORK), minutes=minutes)
    task = LeasedTask(task_id="t", subject=subject, visits=1, method="sustained")
    target_id = bench.agent.bench.device.identity.id
    bench.peer.leases.append(
        Lease(id="lease-1", fence=7, target_id=target_id, ttl_s=60.0, tasks=(task,))
    )


def test_a_phone_that_warms_up_is_recovered(fake_phone: FakePhone, tmp_path: Path) -> None:
    curve = ThermalCurve()
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.agent.bench.device.learn_methods()
        assert bench.agent.bench.device.methods[-1] == "sustained"
        bench.runner.curve = curve
        leased(bench, minutes=3)
        bench.run()
        assert bench.peer.outcomes() == {"t": "done"}
        *so_far, upload = bench.peer.windows
        assert bench.agent.bench.progress.steps["running without pause"] == 18  # type: ignore[attr-defined]
        assert fake_phone.files.names(str(STRETCHES)) == []
    windows = upload.windows
    # Some are sent while it runs; what it was too fast for is skipped.
    assert all(one.is_partial for one in so_far)
    assert [one.windows for one in so_far] == [windows[: len(one.windows)] for one in so_far]
    assert not upload.is_partial
    assert upload.lease_id == "lease-1"
    assert [round(window.at_s) for window in windows] == list(range(0, 180, 10))
    first, last = windows[0], windows[-1]
    assert (first.thermal_status, last.thermal_status) == (0, 1)
    assert (first.cpu_mhz, last.cpu_mhz) == (2840.0, 2272.0)
    assert first.cpu_celsius is not None
    assert last.cpu_celsius is not None
    assert first.cpu_celsius < last.cpu_celsius < curve.hot
    assert first.battery_celsius == 27.5
    speed = SpeedOverTime.of(windows)
    assert speed.first_minute_ms == pytest.approx(0.5)
    assert speed.steady_ms == pytest.approx(curve.throttled_us / 1000)
    assert speed.lost_percent == pytest.approx(20.0)
    assert speed.settled
    # The window in which it happens.
    assert speed.throttled_after_s is not None
    assert speed.throttled_after_s < curve.trips_after_s < speed.throttled_after_s + 10.1


def test_a_phone_that_is_warm_already_does_not_begin(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.heat_up()
    with phone_bench(fake_phone, tmp_path) as bench:
        leased(bench, minutes=1)
        bench.run()
        assert bench.peer.windows == []
        assert bench.peer.outcomes() == {"t": "unfinished"}


def test_a_launch_that_gives_no_number_fails_the_task(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.runner.delegated = False
        leased(bench, minutes=1)
        bench.run()
        assert bench.peer.windows == []
        assert bench.peer.outcomes() == {"t": "failed"}
        assert "took nothing" in bench.reasons()[0]


def test_this_machine_runs_launch_after_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sustained, "WINDOW_S", 0.1)
    device, answers = host_device(MeasurementProtocol()), iter([True, True, True, False])
    model = block_file(tmp_path)
    try:
        found = list(device.sustain(model, 600.0, lambda: next(answers), allow_partial=False))
        assert len(found) == 3
        for result in found:
            assert isinstance(result.outcome, Measured)
            runs = result.outcome.statistics
            # The clock is looked at after each run.
            assert 0.1 <= runs.count * runs.mean_us / 1e6 + 1e-6 < 0.2
        assert list(device.sustain(model, 0.0, always, allow_partial=False)) == []
    finally:
        device.close()


def test_a_table_of_the_steady_state_is_measured_on_a_warm_phone(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    curve, protocol = ThermalCurve(), steady(NO_ANCHOR, minutes=1.5)
    with phone_bench(fake_phone, tmp_path, protocol) as bench:
        identity = bench.agent.bench.device.identity
        assert identity.thermal == "steady"
        assert identity.label.endswith("steady state")
        assert "thermal" not in identity.model_copy(update={"thermal": None}).model_dump()
        bench.runner.curve = curve
        bench.lease({"t": 4})
        bench.run()
        assert bench.peer.outcomes() == {"t": "done"}
        assert curve.ran_s == pytest.approx(90 + 4 * 1.0)
        assert [visit.statistics.p5_us for visit in bench.peer.visits] == 4 * [curve.throttled_us]
        assert all(not visit.rejected for visit in bench.peer.visits)
        assert bench.peer.windows == []


def test_a_cool_protocol_and_its_hash_are_as_they_were() -> None:
    assert NO_ANCHOR.thermal is None
    assert "warming" not in NO_ANCHOR.model_dump()
    assert steady(NO_ANCHOR, 10.0).content_hash != NO_ANCHOR.content_hash


def test_a_task_names_what_runs_and_for_how_long() -> None:
    model = ModelSubject(sha256="0" * 64, name="m.tflite")
    subject = SustainedSubject(subject=model, minutes=2.5)
    assert subject.name == "m.tflite, 2.5 min without pause"
    assert subject.content_hash != subject.model_copy(update={"minutes": 3.0}).content_hash
