"""A session through a real adb daemon on loopback, with a program that really measures."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.farm.attempts import Session, attempt, table_lease
from device_agent.benchmark_model.program import read_program, with_libraries
from device_agent.phones.connect import reach
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from netspec.protocol import PHONE
from tests.benchmark_model.standin import build_benchmark_model, litert_library
from tests.phones.adbd import AdbdPhone
from tests.phones.debian_adbd import adbd_programs

#: as phones are measured, but for what a computer with other work on it cannot promise
_PROTOCOL = PHONE.model_copy(
    update={
        "cool_down": PHONE.cool_down.model_copy(update={"seconds": 0.5, "then": "measure"}),
        "anchor": PHONE.anchor and PHONE.anchor.model_copy(
            update={"slow_ratio": 1.15, "quarantine_ratio": None}
        ),
    }
)  # fmt: skip


def adbd_session(operators: int | None, rounds: int) -> Session:
    """One session.

    Raises:
        CannotHave: adbd cannot be had here.
        CannotBuild: the program cannot be built here.
    """
    programs, runner = adbd_programs(), build_benchmark_model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with AdbdPhone(programs, folder / "phone") as phone:
            program = with_libraries(read_program(runner, "stand-in"), [litert_library()])
            device = Phone(reach(phone.address, "tcp", folder), Choice(program), _PROTOCOL)
            try:
                lease = table_lease(operators, rounds, device.identity.id)
                return attempt(device, _PROTOCOL, lease, folder, folder / "models")
            finally:
                device.close()
