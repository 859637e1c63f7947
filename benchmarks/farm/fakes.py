"""Many fake phones, one agent, a real server."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from device_agent.link import Link
from device_agent.phones.phone import Choice, connect
from device_agent.transports import transport_to
from netspec.operators import MBConv
from netspec.protocol import PHONE, CoolDown, Gate
from netspec.wire import DeviceRegistration, Job, JobRequest
from tests.integration.device_agent.fake_runner import PROGRAM, FakeBenchmarkModel
from tests.integration.device_agent.processes import Farm
from tests.phones.fake_phone import FakePhone, FakePhones
from tests.phones.state import PhoneState

_BLOCK = MBConv(input_size=8, in_channels=8, out_channels=8, expand=3, residual=True)
_PROTOCOL = PHONE.model_copy(
    update={
        "gate": Gate(busy_window_s=0.01),
        "cool_down": CoolDown(seconds=0.1, times=2, then="hand_back"),
    }
)


def phones_served(count: int, rounds: int) -> int:
    """How many of so many phones had their job done by one agent, in one run."""
    with tempfile.TemporaryDirectory() as name, FakePhones() as phones:
        folder = Path(name)
        fakes = [_add(phones, number) for number in range(count)]
        farm = Farm(folder / "data")
        try:
            farm.start_server()
            jobs = [_file(farm, fake, folder, rounds) for fake in fakes]
            runner, protocol = folder / "benchmark_model", folder / "protocol.json"
            runner.write_bytes(PROGRAM.content)
            protocol.write_text(_PROTOCOL.model_dump_json(), encoding="utf-8")
            named = [part for fake in fakes for part in ("--phone", fake.address)]
            farm.run_agent(
                *named, "--runner", str(runner), "--runner-version", PROGRAM.version,
                "--protocol", str(protocol),
            )  # fmt: skip
            return sum(farm.job(job).state == "done" for job in jobs)
        finally:
            farm.close()


def _add(phones: FakePhones, number: int) -> FakePhone:
    fake = phones.add(PhoneState(serial=f"FAKE{number:02d}", model=f"Phone {number}"))
    FakeBenchmarkModel(us=500 + number).install(fake)
    return fake


def _file(farm: Farm, fake: FakePhone, folder: Path, rounds: int) -> Job:
    """Makes the phone's target known, and asks for a measurement on it."""
    phone = connect(transport_to(fake.address, "tcp", folder), Choice(PROGRAM), _PROTOCOL)
    with farm.http() as http:
        Link(http).register(
            DeviceRegistration(
                agent=socket.gethostname(),
                serial=phone.serial,
                targets=(phone.identity,),
                protocol=_PROTOCOL,
            )
        )
    target_id = phone.identity.id
    phone.close()
    return farm.file(
        JobRequest(name=fake.state.serial, target_id=target_id, operators=(_BLOCK,), rounds=rounds)
    )
