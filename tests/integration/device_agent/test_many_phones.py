"""One agent, several phones: a process each, phones that come and go, and what users get wrong."""

import signal
from pathlib import Path

import httpx2
import pytest

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE
from tests.forked import Program, run
from tests.integration.device_agent.phone_farm import add, ask, options
from tests.integration.device_agent.processes import Farm
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.ports import free_port
from tests.waiting import wait_for


def health(port: int) -> dict[str, dict[str, object]]:
    """What the agent tells of each device."""
    told = httpx2.get(f"http://127.0.0.1:{port}/healthz").json()
    return {one["device"]: one for one in told["devices"]}


def test_one_agent_serves_several_phones_and_tells_of_them(
    farm: Farm, fake_phones: FakePhones, tmp_path: Path
) -> None:
    phones = [add(fake_phones, number) for number in range(3)]
    jobs = [ask(farm, phone, tmp_path, 3) for phone in phones]
    port = free_port()
    agent = farm.start_agent(*options(tmp_path, *phones), "--status-port", str(port))
    wait_for(lambda: all(farm.job(job).state == "done" for job in jobs))
    assert health(port).keys() == {phone.address for phone in phones}
    agent.send_signal(signal.SIGTERM)
    log = agent.wait().stderr
    assert agent.returncode == 0, log
    assert "Traceback" not in log
    assert farm.visits_stored() == 9
    assert not any(phone.state.fixed_performance for phone in phones)


def test_a_phone_that_comes_later_is_served_too(
    farm: Farm, fake_phones: FakePhones, tmp_path: Path
) -> None:
    phones = [add(fake_phones, number) for number in range(2)]
    jobs = [ask(farm, phone, tmp_path, 2) for phone in phones]
    phones[1].lose_power()
    port = free_port()
    agent = farm.start_agent(*options(tmp_path, *phones), "--status-port", str(port))
    wait_for(lambda: farm.job(jobs[0]).state == "done")
    assert farm.job(jobs[1]).state != "done"
    told = wait_for(lambda: health(port).get(phones[1].address, {}))
    assert told["state"] in {"starting", "waiting"}
    phones[1].power_on()
    wait_for(lambda: farm.job(jobs[1]).state == "done")
    agent.send_signal(signal.SIGTERM)
    log = agent.wait().stderr
    assert agent.returncode == 0, log


def say(folder: Path, *arguments: str) -> str:
    """The one line of a command that ends with exit code 2."""
    given = {DATA_DIR_VARIABLE: str(folder), TOKEN_VARIABLE: "t", "PATH": "/usr/bin:/bin"}
    ended = run("device-agent", *arguments, variables=given)
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    assert "Traceback" not in ended.stdout
    return line


def test_one_phone_under_two_names_is_measured_by_one_agent(
    farm: Farm, fake_phones: FakePhones, tmp_path: Path
) -> None:
    phone = add(fake_phones, 1)
    first = farm.start_agent(*options(tmp_path, phone))
    wait_for(lambda: "registered" in first.stderr)
    alias = phone.address.replace("127.0.0.1", "localhost")
    for command in (["run", "--phone", alias], ["doctor", alias]):
        said = say(farm.folder, *command)
        assert f"another agent (process {first.pid}) measures on FAKE1" in said
    first.send_signal(signal.SIGTERM)
    first.wait()
    assert first.returncode == 0


def test_a_signal_while_a_phone_is_looked_at_leaves_it_as_it_was(
    farm: Farm, fake_phones: FakePhones, tmp_path: Path
) -> None:
    phone = add(fake_phones, 1)
    agents: list[Program] = []
    tried: list[list[str]] = []

    def stop() -> None:
        tried.append(phone.calls[-1])
        if len(tried) == 1:
            agents[0].send_signal(signal.SIGTERM)

    phone.when_called["cmd"] = stop
    agents.append(farm.start_agent(*options(tmp_path, phone)))
    log = agents[0].wait().stderr
    assert agents[0].returncode == 0, log
    assert [call[-1] for call in tried] == ["true", "false"]
    assert not phone.state.fixed_performance


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--threads", "4"],
            "--threads is for phones and boards, and this run would",
        ),
        (["--runner-version", "2"], "leave --runner-version out"),
        (
            ["--board", "pi@a", "--way", "usb"],
            "--way is for phones, and boards are reached over",
        ),
        (["--board", "pi@a", "--core", "1"], "--core is for this machine, and --phone and --board"),
        (["--phone", "all", "--core", "1"], "--core is for this machine, and --phone and --board"),
    ],
)
def test_an_option_without_effect_is_one_line(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    assert says in say(tmp_path, "run", *arguments)


def test_no_phone_is_one_line(tmp_path: Path) -> None:
    assert "no answer at 127.0.0.1:9" in say(tmp_path, "run", "--phone", "127.0.0.1:9")


def test_an_unauthorised_phone_is_one_line(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.refuse_key()
    assert "Allow USB debugging" in say(tmp_path, "run", "--phone", fake_phone.address)


def test_a_missing_runner_is_one_line(fake_phone: FakePhone, tmp_path: Path) -> None:
    said = say(tmp_path, "run", "--phone", fake_phone.address)
    assert "no benchmark_model for arm64-v8a was fetched" in said
    said = say(tmp_path, "run", "--phone", fake_phone.address, "--runner", "/nowhere")
    assert "there is no benchmark_model at /nowhere" in said


def test_a_runner_for_another_abi_is_one_line(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.state.abi = "x86_64"
    said = say(tmp_path, "run", *options(tmp_path, fake_phone))
    assert "built for arm64-v8a, but the device runs x86_64" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no library at"),
        (b"text", "lib.so is not a program or library"),
        (
            b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x3e\0",
            "lib.so is built for x86_64, but the device",
        ),
    ],
)
def test_a_library_that_the_runner_cannot_load_is_one_line(
    fake_phone: FakePhone, tmp_path: Path, content: bytes | None, says: str
) -> None:
    library = tmp_path / "lib.so"
    if content is not None:
        library.write_bytes(content)
    said = say(tmp_path, "run", *options(tmp_path, fake_phone), "--library", str(library))
    assert says in said


def test_no_space_on_the_phone_is_one_line(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.fill_disk()
    said = say(tmp_path, "run", *options(tmp_path, fake_phone))
    assert "space" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is no measurement protocol"), ('{"measure_ms": 0}', "measure_ms")],
)
def test_a_protocol_that_is_none_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "protocol.json"
    path.write_text(text)
    assert says in say(tmp_path, "run", "--protocol", str(path))
    assert "cannot be read" in say(tmp_path, "run", "--protocol", str(tmp_path / "absent"))


def test_a_fetch_that_reaches_nobody_is_one_line(tmp_path: Path) -> None:
    said = say(tmp_path, "runner", "fetch", "--tool", "litert")
    assert "needs --version" in said
