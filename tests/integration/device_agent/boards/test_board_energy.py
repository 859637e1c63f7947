"""Energy on a board behind a real SSH server, whose counter goes on while it is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_agent.benchmark_model.program import read_program, with_libraries
from device_agent.cli import app
from device_agent.errors import PhoneUnusable
from device_agent.measuring.energy import EnergyChoice, upload_of
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.transports.ssh import SshTransport
from netspec.console.connection import DATA_DIR_VARIABLE
from netspec.console.heartbeat import heartbeat
from netspec.operators import HeadConv
from netspec.tflite import encode
from netspec.wire import EnergySubject, OperatorSubject
from tests.benchmark_model.standin import litert_library
from tests.boards.sshd import Board
from tests.integration.device_agent.boards.conftest import Options, heard
from tests.integration.device_agent.test_adbd_phone import PROTOCOL

ZONE = "/sys/class/powercap/intel-rapl:0"
OPERATOR = HeadConv(input_size=14, in_channels=64, out_channels=256)
SUBJECT = EnergySubject(subject=OperatorSubject(operator=OPERATOR), windows=6, seconds=2.0)
IDLE_W, RUN_W, STEP_S = 4.0, 10.0, 0.005


def runs(board: Board) -> bool:
    """Whether the runner runs on the board now."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # processes come and go
            runner = (process / "exe").readlink().name == "benchmark_model"
            if runner and (process / "root").samefile(board.root):
                return True
    return False


@contextmanager
def counting(board: Board) -> Iterator[None]:
    """The board's processor takes 4 W, and 14 W while its runner runs."""
    board.write(f"{ZONE}/name", "package-0\n")
    board.write(f"{ZONE}/max_energy_range_uj", "262143328850\n")
    file, part = (board.root / f"{ZONE}/{name}".lstrip("/") for name in ("energy_uj", "part"))
    file.write_text("0\n")
    taken_uj, at_s = 0.0, time.monotonic()

    def count() -> None:
        nonlocal taken_uj, at_s
        now_s = time.monotonic()
        watts = IDLE_W + RUN_W * runs(board)
        taken_uj, at_s = taken_uj + 1e6 * watts * (now_s - at_s), now_s
        part.write_text(f"{taken_uj:.0f}\n")
        part.rename(file)

    with heartbeat(count, STEP_S):
        yield


def test_energy_is_counted_by_rapl_and_asks_nothing_of_androids(
    wary_board: Board, benchmark_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(encode([OPERATOR]))
    transport = SshTransport(wary_board.address)
    transport.reconnect()
    program = with_libraries(read_program(benchmark_model), [litert_library()])
    with counting(wary_board), closing(Phone(transport, Choice(program), PROTOCOL)) as device:
        device.learn_methods()
        assert device.methods[-1] == "energy"
        device.prepare({model})
        found = device.count_energy(model, SUBJECT, lambda: True, allow_partial=False)
    assert found is not None
    upload = upload_of("lease-1", *found)
    assert upload.meter.name == "rapl package-0"
    for one in upload.rounds:
        assert one.idle.energy_mj == pytest.approx(1000 * IDLE_W * one.idle.seconds, rel=0.05)
        assert one.long.energy_mj is not None
        # It ran for most of the window, and may have waited for a core.
        watts = one.long.energy_mj / 1000 / one.long.seconds
        assert IDLE_W + RUN_W / 2 < watts <= IDLE_W + RUN_W
        assert one.long.runs >= 200
    assert heard(wary_board) == []
    assert list((wary_board.files / "stretches").iterdir()) == []


def energy_check(
    board: Board, options: Options, folder: Path, patched: pytest.MonkeyPatch
) -> dict[str, str]:
    """What `doctor` says of a board's energy."""
    patched.setenv(DATA_DIR_VARIABLE, str(folder))
    given = options[options.index("--runner") :]
    given = [*given[:2], *given[given.index("--library") :][:2]]
    said = CliRunner().invoke(app, ["doctor", board.address, "--json", *given])
    assert said.exit_code == 0, said.stdout
    checks: dict[str, dict[str, str]] = {one["name"]: one for one in json.loads(said.stdout)}
    return checks["energy"]


def test_the_doctor_says_what_counts_a_boards_energy(
    board: Board, options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check = energy_check(board, options, tmp_path, monkeypatch)
    assert (check["verdict"], check["advice"]) == ("ok", "")
    sensor = "/sys/class/hwmon/hwmon3"
    board.write(f"{sensor}/name", "ina3221\n")
    board.write(f"{sensor}/curr1_input", "640\n")
    check = energy_check(board, options, tmp_path, monkeypatch)
    assert check["verdict"] == "warning"
    assert check["advice"].startswith("ina3221/curr1 tell samples of power, which are no counters")
    with counting(board):
        check = energy_check(board, options, tmp_path, monkeypatch)
    assert check["found"].startswith("rapl; rapl package-0 steps every ")
    (board.root / f"{ZONE}/energy_uj".lstrip("/")).chmod(0o600)
    check = energy_check(board, options, tmp_path, monkeypatch)
    assert "energy_uj is root's alone" in check["advice"]
    # What nobody chose is no hindrance; what somebody chose is.
    transport = SshTransport(board.address)
    transport.reconnect()
    program = with_libraries(read_program(Path(options[3])), [litert_library()])
    choice = Choice(program, energy=EnergyChoice("rapl"))
    with (
        closing(Phone(transport, choice, PROTOCOL)) as device,
        pytest.raises(PhoneUnusable, match="chmod"),
    ):
        device.learn_methods()
