"""The whole chain: agent, a real SSH server, a program that really measures, a real server."""

import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_agent.benchmark_model.program import read_program, with_libraries
from device_agent.cli import app
from device_agent.phones.connect import phone_properties
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.transports.ssh import SshTransport
from netspec.client import ProfilerClient
from netspec.console.connection import DATA_DIR_VARIABLE
from netspec.console.tokens import server_tokens
from netspec.protocol import TargetIdentity
from netspec.wire import Job, JobRequest
from tests.benchmark_model.standin import litert_library
from tests.boards.sshd import Board
from tests.integration.device_agent.boards.conftest import Options
from tests.integration.device_agent.models import block
from tests.integration.device_agent.processes import Farm
from tests.integration.device_agent.test_adbd_phone import PROTOCOL
from tests.waiting import wait_for

OPERATORS = (block(8), block(8, "int8"))


def target(farm: Farm) -> tuple[str, TargetIdentity]:
    """Id and identity of the only target."""
    with ProfilerClient(farm.url, server_tokens(farm.url, farm.folder)[0]) as client:
        (found,) = client.targets()
    return found.id, found.identity


def file_job(farm: Farm, options: Options, rounds: int) -> Job:
    """Makes the board's target known, and asks for visits on it."""
    farm.run_agent(*options)
    target_id, _ = target(farm)
    return farm.file(
        JobRequest(name="board", target_id=target_id, operators=OPERATORS, rounds=rounds)
    )


def test_a_job_is_measured_on_the_board_and_its_table_is_filled(
    farm: Farm, options: Options, board: Board
) -> None:
    job = file_job(farm, options, rounds=3)
    target_id, identity = target(farm)
    assert identity.device_model == "Raspberry Pi 4 Model B Rev 1.4"
    assert identity.soc == "brcm,bcm2711"
    assert identity.os_build.endswith("(Raspberry Pi OS (test))")
    assert identity.abi.startswith("linux_")
    assert identity.runtime == "benchmark_model tflite stand-in"
    assert (identity.clock_policy, identity.affinity) == ("free", "3")
    log = farm.run_agent(*options)
    job = farm.job(job)
    assert (job.state, job.tasks_done, job.visits_done) == ("done", 2, 6), log
    assert "Traceback" not in log
    assert "phone" not in log
    with ProfilerClient(farm.url, server_tokens(farm.url, farm.folder)[0]) as client:
        found = client.latencies(target_id, OPERATORS)
        visit = client.visits(target_id, OPERATORS[0].content_hash)[0].visit
        (device,) = client.devices()
    assert [one.state for one in found.latencies] == ["hit", "hit"]
    assert device.serial == "10000000f00dbeef"
    assert visit.before.cpu_celsius == 48.2
    assert visit.before.cpu_mhz == 1800
    assert "clock free" in visit.before.steps
    assert list((board.files / "stretches").iterdir()) == []


def test_a_connection_that_is_lost_in_the_middle_costs_no_visit(
    farm: Farm, options: Options, board: Board
) -> None:
    job = file_job(farm, options, rounds=40)
    agent = farm.start_agent("--until-idle", *options)
    wait_for(lambda: list(board.files.glob("stretches/*/progress")))
    board.cut()
    log = agent.wait().stderr
    assert agent.returncode == 0, log
    assert "device lost" in log
    assert "phone" not in log
    job = farm.job(job)
    assert (job.state, job.visits_done) == ("done", 80), log


def test_a_board_that_restarts_in_the_middle_is_measured_to_the_end(
    farm: Farm, options: Options, board: Board
) -> None:
    job = file_job(farm, options, rounds=40)
    agent = farm.start_agent("--until-idle", *options)
    wait_for(lambda: list(board.files.glob("stretches/*/progress")))
    board.kill()
    board.start()
    log = agent.wait().stderr
    assert agent.returncode == 0, log
    assert "did it restart?" in log
    assert farm.job(job).state == "done", log


def test_several_boards_are_measured_by_one_agent(
    farm: Farm, options: Options, board: Board, sshd: str, tmp_path: Path
) -> None:
    job = file_job(farm, options, rounds=4)
    with Board(sshd, tmp_path / "other", board.home) as other:
        other.write("/sys/firmware/devicetree/base/serial-number", "10000000cafe0002\0")
        log = farm.run_agent("--board", other.address, *options)
    assert farm.job(job).state == "done", log
    with ProfilerClient(farm.url, server_tokens(farm.url, farm.folder)[0]) as client:
        serials = {device.serial for device in client.devices()}
    assert serials == {"10000000f00dbeef", "10000000cafe0002"}, log
    assert "phone" not in log


def test_an_agent_that_is_killed_leaves_its_visits_to_the_next(
    farm: Farm, options: Options, board: Board
) -> None:
    job = file_job(farm, options, rounds=40)
    agent = farm.start_agent(*options)
    wait_for(lambda: list(board.files.glob("stretches/*/progress")))
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    log = farm.run_agent(*options)
    assert farm.job(job).state == "done", log


def test_one_board_under_two_names_is_measured_by_one_agent(
    farm: Farm, options: Options, board: Board
) -> None:
    agent = farm.start_agent(*options)
    wait_for(lambda: "registered" in agent.stderr)
    alias = board.address.replace("127.0.0.1", "localhost")
    other = farm.start_agent("--board", alias, *options[2:])
    said = other.wait().stderr
    assert other.returncode == 2
    assert f"another agent (process {agent.pid}) measures on 10000000f00dbeef" in said
    assert "phone" not in said


def refusal(farm: Farm, *options: str) -> str:
    """The one line of an agent that cannot measure."""
    agent = farm.start_agent(*options)
    (line,) = agent.wait().stderr.strip().splitlines()
    assert agent.returncode == 2
    return line


def test_what_keeps_a_board_from_being_reached_is_one_line(
    farm: Farm, options: Options, board: Board
) -> None:
    said = refusal(farm, *options, "--energy", "odpm")
    assert "the board has no counter of energy that is known to count here" in said
    (board.home / ".ssh/known_hosts").unlink()
    assert "which is not the one in your file of known hosts" in refusal(farm, *options)
    board.trust()
    board.allow("")
    assert "takes none of your keys" in refusal(farm, *options)
    board.kill()
    assert "no answer from" in refusal(farm, *options)
    assert "is not a board's address; write USER@HOST" in refusal(farm, "--board", "pi@a b")


def test_a_full_disk_is_one_line(farm: Farm, options: Options, board: Board) -> None:
    board.kill()
    board.configure("SetEnv XDG_CACHE_HOME=/small\n")
    board.start()
    assert f"no space is left on {board.address}" in refusal(farm, *options)


def test_the_doctor_finds_a_healthy_board_fit(
    options: Options, board: Board, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    given = options[options.index("--runner") :]
    given = [*given[:2], *given[given.index("--library") :][:2]]
    said = CliRunner().invoke(app, ["doctor", board.address, "--json", *given])
    checks = {check["name"]: check for check in json.loads(said.stdout)}
    assert said.exit_code == 0, said.stdout
    warned = {name for name, check in checks.items() if check["verdict"] != "ok"}
    assert warned == {"clock"}
    assert "let this user `sudo` without a password" in checks["clock"]["advice"]
    assert checks["linux"]["found"].startswith("Linux ")
    assert "measures a small model" in checks["runs"]["found"]
    assert not board.files.exists()


def test_the_doctor_says_what_is_wrong_with_a_board(
    options: Options, board: Board, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    board.write("/sys/class/thermal/cooling_device0/cur_state", "2\n")
    board.kill()
    board.configure("SetEnv XDG_CACHE_HOME=/small\n")
    board.start()
    said = CliRunner().invoke(app, ["doctor", board.address, "--json", *options[2:4]])
    checks = {check["name"]: check for check in json.loads(said.stdout)}
    assert said.exit_code == 1
    assert {name for name, check in checks.items() if check["verdict"] == "bad"} == {
        *("space", "thermal")
    }


def test_a_board_is_listed_beside_phones(
    board: Board, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    alias = board.address.replace("127.0.0.1", "localhost")
    given = ["devices", "--json", "--board", board.address, "--board", alias]
    said = CliRunner().invoke(app, given)
    (listed,) = [phone for phone in json.loads(said.stdout)["phones"] if phone["way"] == "ssh"]
    assert listed["model"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert listed["linux"] == "Raspberry Pi OS (test)"
    assert listed["number"] == "10000000f00dbeef"
    assert (listed["problem"], listed["also"][0]["serial"]) == ("", alias)


def test_a_board_without_a_serial_number_is_known_by_its_machine_id(
    transport: SshTransport, board: Board
) -> None:
    (board.root / "sys/firmware/devicetree/base/serial-number").unlink()
    number = phone_properties(transport).number
    assert len(number) == 16
    assert number not in (board.root / "etc/machine-id").read_text()
    board.write("/etc/machine-id", "1" * 32 + "\n")
    assert phone_properties(transport).number not in ("", number)
    (board.root / "etc/machine-id").unlink()
    assert phone_properties(transport).number == ""


@pytest.mark.parametrize(
    ("files", "user", "policy"),
    [
        ({}, "pi", "free"),
        ({"scaling_governor": "performance"}, "pi", "fixed_performance"),
        ({"scaling_min_freq": "1800000"}, "pi", "locked"),
        ({}, "root", "locked"),
    ],
)
def test_the_clock_is_the_steadiest_that_the_board_grants(
    board: Board, benchmark_model: Path, files: dict[str, str], user: str, policy: str
) -> None:
    clocks = list(board.root.glob("sys/devices/system/cpu/cpu*/cpufreq"))
    for clock in clocks:
        for name, text in files.items():
            (clock / name).write_text(f"{text}\n")
    board.allow((board.home / ".ssh/id_ed25519.pub").read_text(), user)
    before = [(clock / "scaling_min_freq").read_text() for clock in clocks]
    transport = SshTransport(board.address.replace("pi@", f"{user}@"))
    transport.reconnect()
    program = with_libraries(read_program(benchmark_model), [litert_library()])
    phone = Phone(transport, Choice(program), PROTOCOL)
    assert phone.identity.clock_policy == policy
    assert phone.identity.locked_khz == ((1_800_000,) * len(clocks) if policy == "locked" else None)
    phone.prepare(())
    if user == "root":
        assert {(clock / "scaling_min_freq").read_text() for clock in clocks} == {"1800000\n"}
    phone.close()
    assert [(clock / "scaling_min_freq").read_text() for clock in clocks] == before


def test_a_boards_gpu_is_locked_by_root_and_given_back(board: Board, benchmark_model: Path) -> None:
    folder = "/sys/class/devfreq/17000000.gpu"
    for name, hertz in (("cur", 306_000_000), ("min", 306_000_000), ("max", 918_000_000)):
        board.write(f"{folder}/{name}_freq", f"{hertz}\n")
    board.allow((board.home / ".ssh/id_ed25519.pub").read_text(), "root")
    transport = SshTransport(board.address.replace("pi@", "root@"))
    transport.reconnect()
    phone = Phone(transport, Choice(read_program(benchmark_model), "gpu"), PROTOCOL)
    lowest = board.root / f"{folder}/min_freq".lstrip("/")
    assert phone.identity.locked_gpu_khz == 918_000
    assert lowest.read_text() == "306000000\n"
    phone.prepare(())
    assert lowest.read_text() == "918000000\n"
    phone.close()
    assert lowest.read_text() == "306000000\n"
