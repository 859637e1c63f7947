"""What a system can do is asked of that system alone: boards never hear Android's commands."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_agent.benchmark_model.program import read_program, with_libraries
from device_agent.cli import app
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.transports.ssh import SshTransport
from netspec.console.connection import DATA_DIR_VARIABLE
from tests.benchmark_model.standin import litert_library
from tests.boards.sshd import Board
from tests.integration.device_agent.boards.conftest import Options, heard
from tests.integration.device_agent.boards.test_board_agent import file_job
from tests.integration.device_agent.phone_bench import phone_bench
from tests.integration.device_agent.processes import Farm
from tests.integration.device_agent.test_adbd_phone import PROTOCOL
from tests.phones.fake_phone import FakePhone
from tests.phones.shell_io import Call

#: none of which an Android has
LINUXES = ("cpupower", "loginctl", "nvpmodel", "sudo", "systemctl", "tegrastats", "vcgencmd")


def test_a_board_that_has_androids_commands_notes_them(wary_board: Board) -> None:
    with closing(SshTransport(wary_board.address)) as transport:
        transport.reconnect()
        transport.shell("dumpsys power | grep -e mWakefulness=", timeout_s=5)
    assert heard(wary_board) == ["dumpsys power"]


def test_no_command_of_androids_reaches_a_board_that_is_measured(
    wary_board: Board, benchmark_model: Path
) -> None:
    transport = SshTransport(wary_board.address)
    transport.reconnect()
    program = with_libraries(read_program(benchmark_model), [litert_library()])
    with closing(Phone(transport, Choice(program), PROTOCOL)) as board:
        board.try_runner()
        board.learn_methods()
        board.prepare(())
        board.observe()
        board.rest()
        board.wake()
        assert list(board.leftovers()) == []
    assert heard(wary_board) == []


def test_no_command_of_androids_reaches_a_board_through_the_whole_agent(
    farm: Farm, options: Options, wary_board: Board, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job = file_job(farm, options, rounds=1)
    log = farm.run_agent(*options)
    assert farm.job(job).state == "done", log
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    for command in (["doctor", wary_board.address], ["devices", "--board", wary_board.address]):
        CliRunner().invoke(app, command)
    assert heard(wary_board) == []


def test_no_command_of_linuxs_reaches_a_phone(fake_phone: FakePhone, tmp_path: Path) -> None:
    said: list[str] = []

    async def note(call: Call) -> int:
        said.append(" ".join(call.args))
        return 1

    fake_phone.programs |= dict.fromkeys(LINUXES, note)
    with phone_bench(fake_phone, tmp_path) as bench:
        device = bench.agent.bench.device
        device.learn_methods()
        bench.lease({"a": 1})
        bench.run()
        assert bench.peer.outcomes() == {"a": "done"}
    assert said == []
