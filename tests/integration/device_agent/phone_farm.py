"""Fake phones with jobs of their own at a real server, for one agent to serve."""

from __future__ import annotations

import socket
from pathlib import Path

from device_agent.loop.server import Link
from device_agent.phones.connect import reach
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from netspec.protocol import PHONE, CoolDown, Gate
from netspec.wire import DeviceRegistration, Job, JobRequest
from tests.integration.device_agent.fake_runner import PROGRAM, FakeBenchmarkModel
from tests.integration.device_agent.models import block
from tests.integration.device_agent.processes import Farm
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.state import PhoneState

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


def ask(farm: Farm, phone: FakePhone, folder: Path, rounds: int) -> Job:
    """Makes the phone's target known, and asks for visits on it."""
    device = Phone(reach(phone.address, "tcp", folder), Choice(PROGRAM), PROTOCOL)
    with farm.http() as http:
        Link(http).register(
            DeviceRegistration(
                agent=socket.gethostname(),
                serial=device.serial,
                targets=(device.identity,),
                protocol=PROTOCOL,
            )
        )
    target_id = device.identity.id
    device.close()
    return farm.file(
        JobRequest(
            name=phone.state.serial, target_id=target_id, operators=(block(8),), rounds=rounds
        )
    )
