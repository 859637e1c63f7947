"""Fake phones with jobs of their own at a real server, for one agent to serve."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from device_agent.loop.agent import registration
from device_agent.loop.server import Link
from device_agent.phones.connect import reach
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from netspec.protocol import PHONE, CoolDown, Gate
from netspec.wire import Job, JobRequest
from tests.integration.device_agent.fake_runner import PROGRAM, FakeBenchmarkModel
from tests.integration.device_agent.models import block
from tests.integration.device_agent.processes import Farm
from tests.phones.energy import EnergyLaw
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.state import PhoneState
from tests.phones.thermal import ThermalCurve

PROTOCOL = PHONE.model_copy(
    update={
        "gate": Gate(busy_window_s=0.01),
        "cool_down": CoolDown(seconds=0.1, times=2, then="hand_back"),
    }
)


def options(folder: Path, *phones: FakePhone) -> list[str]:
    runner, protocol = folder / "benchmark_model", folder / "protocol.json"
    runner.write_bytes(PROGRAM.content)
    protocol.write_text(PROTOCOL.model_dump_json(), encoding="utf-8")
    return [
        *(part for phone in phones for part in ("--phone", phone.address)),
        *("--runner", str(runner), "--runner-version", PROGRAM.version),
        *("--protocol", str(protocol)),
    ]


def add(phones: FakePhones, number: int) -> FakePhone:
    made = phones.add(PhoneState(serial=f"FAKE{number}", model=f"Phone {number}"))
    FakeBenchmarkModel(us=500 + number).install(made)
    return made


@dataclass(frozen=True)
class LawfulPhone:
    """A fake phone that takes energy and warms up by laws."""

    phone: FakePhone
    energy: EnergyLaw
    curve: ThermalCurve


def add_lawful(phones: FakePhones, number: int) -> LawfulPhone:
    """One that is unplugged, in airplane mode with its Wi-Fi on; it throttles within a minute."""
    phone = phones.add(
        PhoneState(serial=f"FAKE{number}", model=f"Phone {number}", soc="Tensor", plugged=False)
    )
    phone.state.settings["global", "airplane_mode_on"] = "1"
    energy = EnergyLaw(phone, inference_mj=1.5 + number / 100)
    energy.install()
    curve = ThermalCurve(full_us=500 + number, tau_s=30.0)
    FakeBenchmarkModel(curve=curve, energy=energy).install(phone)
    return LawfulPhone(phone, energy, curve)


def ask(farm: Farm, phone: FakePhone, folder: Path, rounds: int) -> Job:
    """Makes the phone's target known, and asks for visits on it."""
    target_id = make_known(farm, phone, folder)
    return farm.file(
        JobRequest(
            name=phone.state.serial, target_id=target_id, operators=(block(8),), rounds=rounds
        )
    )


def make_known(farm: Farm, phone: FakePhone, folder: Path) -> str:
    """Registers a phone with all that its runner can; its target's id."""
    with (
        closing(Phone(reach(phone.address, "tcp", folder), Choice(PROGRAM), PROTOCOL)) as device,
        farm.http() as http,
    ):
        device.learn_methods()
        Link(http).register(registration(device, PROTOCOL))
        return device.identity.id
