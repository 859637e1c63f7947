import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from device_agent.errors import PhoneUnusable
from device_agent.processes import supervisor
from device_agent.processes.status import DeviceStatus, read_statuses
from device_agent.processes.stop import StopSignal
from device_agent.processes.supervisor import Supervisor
from device_agent.transports.base import PhoneRoute
from tests.waiting import wait_for

_WRITES = "import sys, pathlib; pathlib.Path(sys.argv[1]).touch()"
_WAITS = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); time.sleep(60)"
_FAILS = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(2)"


def command(script: str, path: Path) -> list[str]:
    return [sys.executable, "-c", script, str(path)]


def test_every_phone_gets_a_process_and_all_are_waited_for(tmp_path: Path) -> None:
    phones = [PhoneRoute(name, "tcp") for name in ("a", "b", "c")]
    Supervisor(
        seen=lambda: phones,
        command=lambda one: command(_WRITES, tmp_path / one.serial),
        stop=StopSignal(),
        status_folder=tmp_path / "status",
    ).run(until_idle=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c", "status"}
    assert read_statuses(tmp_path / "status") == []


def test_until_idle_tells_of_phones_that_were_not_measured(tmp_path: Path) -> None:
    made = Supervisor(
        seen=lambda: [PhoneRoute("well", "tcp"), PhoneRoute("ill", "tcp")],
        command=lambda one: command(_WRITES if one.serial == "well" else _FAILS, tmp_path / "x"),
        stop=StopSignal(),
        status_folder=tmp_path / "status",
    )
    with pytest.raises(PhoneUnusable, match=r"1 of 2 devices .* \(ill\); why is said above"):
        made.run(until_idle=True)
    assert (tmp_path / "x").read_text() == "x", "it is not started again"


def test_a_stop_ends_the_processes_and_waits_for_them(tmp_path: Path) -> None:
    stop = StopSignal()
    made = Supervisor(
        seen=lambda: [PhoneRoute("a", "usb")],
        command=lambda _: [sys.executable, "-c", _WAITS],
        stop=stop,
        status_folder=tmp_path / "status",
        look_every_s=0.05,
    )
    threading.Timer(0.5, lambda: setattr(stop, "requested", True)).start()
    began = time.monotonic()
    made.run(until_idle=False)
    assert time.monotonic() - began < 30
    (worker,) = made._workers.values()
    assert worker.process is not None
    assert worker.process.returncode is not None


def test_a_process_that_fails_is_started_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_AFTER_S", (0.0, 0.0, 3600.0))
    stop = StopSignal()
    path = tmp_path / "tries"
    told: list[DeviceStatus] = []

    def start(_: PhoneRoute) -> list[str]:
        told.extend(read_statuses(tmp_path / "status"))
        return command(_FAILS, path)

    made = Supervisor(
        seen=lambda: [PhoneRoute("a", "tcp")],
        command=start,
        stop=stop,
        status_folder=tmp_path / "status",
        look_every_s=0.01,
    )
    deadline = time.monotonic() + 30

    def look() -> list[PhoneRoute]:
        worker = made._workers.get("a")
        enough = worker is not None and worker.failures == 3
        if enough:
            told.extend(read_statuses(tmp_path / "status"))
        stop.requested = enough or time.monotonic() > deadline
        return [PhoneRoute("a", "tcp")]

    made.seen = look
    made.run(until_idle=False)
    assert path.read_text() == "xxx"
    states = [(one.device, one.state) for one in told]
    assert states == [*[("a", "starting")] * 3, ("a", "waiting")]
    assert "ended with exit code 2" in told[-1].why
    assert "started again in 3600 s" in told[-1].why
    assert read_statuses(tmp_path / "status") == []


def test_a_supervisor_that_is_killed_takes_its_processes_with_it(tmp_path: Path) -> None:
    worker = """
import pathlib, signal, sys, time
from netspec.console.parent import end_with_parent
folder = pathlib.Path(sys.argv[1])
signal.signal(15, lambda *_: (folder / "ended").touch() or sys.exit(0))
end_with_parent()
(folder / "runs").touch()
time.sleep(60)
"""
    script = """
import sys
from pathlib import Path
from device_agent.processes.stop import StopSignal
from device_agent.processes.supervisor import Supervisor
from device_agent.transports.base import PhoneRoute
Supervisor(
    seen=lambda: [PhoneRoute("a", "tcp")],
    command=lambda _: [sys.executable, "-c", sys.argv[1], sys.argv[2]],
    stop=StopSignal(),
    status_folder=Path(sys.argv[2]),
).run(until_idle=False)
"""
    with subprocess.Popen([sys.executable, "-c", script, worker, str(tmp_path)]) as killed:
        wait_for((tmp_path / "runs").exists)
        killed.kill()
    wait_for((tmp_path / "ended").exists, 10)
