"""`device-agent doctor` on healthy and ill phones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from device_agent.cli import app
from device_agent.errors import Unauthorised
from device_agent.processes.lock import device_lock, file_name
from device_agent.transports.adb_server import PORT_VARIABLE
from device_agent.transports.over_streams import StreamTransport
from netspec.console.connection import DATA_DIR_VARIABLE
from tests.benchmark_model.standin import build_benchmark_model, litert_library
from tests.integration.device_agent.adb.conftest import impatient
from tests.integration.device_agent.fake_runner import FakeBenchmarkModel
from tests.integration.device_agent.test_clock_and_delegates import GPU_WORDS
from tests.phones.adbd import AdbdPhone
from tests.phones.elf import ARM64, X86_64, elf, pages_of_16_kb
from tests.phones.energy import EnergyLaw
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.gpu import KGSL, SLOW, FakeGpu
from tests.phones.shell_io import Call
from tests.phones.state import PhoneState

Checks = dict[str, dict[str, Any]]


def runner(folder: Path, machine: int = ARM64) -> Path:
    """A file that begins as a benchmark_model for that machine does."""
    path = folder / "benchmark_model"
    header = b"\x7fELF\x02\x01\x01" + bytes(11) + machine.to_bytes(2, "little")
    path.write_bytes(header + b"Inference timings in us: ")
    return path


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PORT_VARIABLE, "1")
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))


@pytest.fixture
def examine(tmp_path: Path) -> Callable[..., tuple[int, Checks]]:
    def call(address: str, *options: str) -> tuple[int, Checks]:
        given = options or ("--runner", str(runner(tmp_path)))
        said = CliRunner().invoke(app, ["doctor", address, "--json", "--wait", "0", *given])
        listed = json.loads(said.stdout)
        return said.exit_code, {check["name"]: check for check in listed}

    return call


Examine = Callable[..., tuple[int, Checks]]


@pytest.fixture(autouse=True)
def _runner_works(request: pytest.FixtureRequest) -> None:
    """What is pushed as benchmark_model runs on the fake phone."""
    if "fake_phone" in request.fixturenames:
        FakeBenchmarkModel().install(request.getfixturevalue("fake_phone"))


def test_a_healthy_phone_passes(fake_phone: FakePhone, examine: Examine) -> None:
    before = set(fake_phone.files.nodes)
    code, checks = examine(fake_phone.address)
    assert code == 0
    assert {check["verdict"] for check in checks.values()} == {"ok"}
    assert checks["cores"]["found"].endswith("one thread runs on 7")
    assert checks["clock"]["found"] == "clock policy fixed_performance is granted"
    # Nothing stays changed.
    assert set(fake_phone.files.nodes) == before
    assert not fake_phone.state.fixed_performance


def test_a_gpu_is_tried_and_its_clock_looked_at(
    fake_phone: FakePhone, examine: Examine, tmp_path: Path
) -> None:
    by_gpu = ("--runner", str(runner(tmp_path)), "--delegate", "gpu")
    code, checks = examine(fake_phone.address, *by_gpu)
    assert code == 1
    assert "no sign that GPU ran the graph" in checks["runs"]["advice"]
    assert checks["gpu clock"]["found"] == "no file that may be read tells it"
    fake = FakeBenchmarkModel()
    fake.says = GPU_WORDS.format(api="OpenCL") + fake._words().partition("delegate.\n")[2]
    fake.install(fake_phone)
    FakeGpu(fake_phone).install()
    code, checks = examine(fake_phone.address, *by_gpu)
    assert code == 0
    assert checks["runs"]["found"].endswith("measures a small model by gpu")
    assert checks["gpu clock"]["found"] == "the phone sets its GPU's clock as it likes"
    fake_phone.state.root = True
    code, checks = examine(fake_phone.address, *by_gpu)
    assert checks["gpu clock"]["found"] == "gpu clock locked 850 MHz, and was given back"
    assert fake_phone.state.files()[f"{KGSL}/min_freq"] == f"{SLOW}\n"
    # The interface is tried, too.
    through_gl = (*by_gpu, "--runner-flag", "gpu_backend=gl")
    _, checks = examine(fake_phone.address, *through_gl)
    assert "ran through OpenCL, and the target says OpenGL" in checks["runs"]["advice"]


def test_a_delegate_that_the_runner_does_not_offer_is_named(
    fake_phone: FakePhone, examine: Examine, tmp_path: Path
) -> None:
    code, checks = examine(
        fake_phone.address, "--runner", str(runner(tmp_path)), "--delegate", "npu"
    )
    assert code == 1
    assert "does not offer the delegate 'npu'" in checks["runs"]["advice"]


def test_a_real_adb_daemon_passes(adbd_phone: AdbdPhone, examine: Examine) -> None:
    adbd_phone.state.abi = "x86_64"
    adbd_phone.refresh()
    program, library = build_benchmark_model(), litert_library()
    code, checks = examine(adbd_phone.address, "--runner", str(program), "--library", str(library))
    assert {name for name, check in checks.items() if check["verdict"] != "ok"} == set()
    assert code == 0
    assert checks["clock"]["found"] == "clock policy locked is granted"
    last = adbd_phone.state.cores[-1]
    low = adbd_phone.root / f"sys/devices/system/cpu/cpu{last}/cpufreq/scaling_min_freq"
    assert low.read_text() == "300000\n"
    assert list((adbd_phone.root / "data/local/tmp").iterdir()) == []


def _counts_energy(phone: FakePhone, **law: Any) -> None:
    phone.state.soc = "Tensor"
    EnergyLaw(phone, **law).install()


def _counts_a_battery_alone(phone: FakePhone) -> None:
    _counts_energy(phone, shares={})


def _counts_on_unknown_rails(phone: FakePhone) -> None:
    _counts_energy(phone)
    phone.state.soc = "mt6897"


#: what is added up on a Tensor
RAILS = "odpm S1M_VDD_MIF+S2M_VDD_CPUCL2+S3M_VDD_CPUCL1+S4M_VDD_CPUCL0+S5M_VDD_INT"


@pytest.mark.parametrize(
    ("change", "verdict", "found", "advice"),
    [
        (lambda _: None, "ok", "no counter that may be read: latency is measured", ""),
        (
            _counts_energy,
            "ok",
            f"odpm with 6 rails, power_stats with 6 rails, fuel_gauge; {RAILS}",
            "",
        ),
        (
            lambda phone: _counts_energy(phone, holds_s=0.125),
            "ok",
            f"{RAILS} steps every 1",
            "",
        ),
        (lambda phone: _counts_energy(phone, holds_s=5.0), "warning", "odpm", "too coarse"),
        (
            _counts_a_battery_alone,
            "warning",
            "fuel_gauge",
            "count what the battery gives, unplugged: `--energy fuel_gauge`",
        ),
        (
            _counts_on_unknown_rails,
            "warning",
            "odpm with 6 rails",
            "name those of what runs your models with --energy-rail",
        ),
    ],
)
def test_what_counts_energy_is_said_with_how_finely(
    change: Callable[[FakePhone], None],
    verdict: str,
    found: str,
    advice: str,
    fake_phone: FakePhone,
    examine: Examine,
) -> None:
    change(fake_phone)
    before = set(fake_phone.files.nodes)
    code, checks = examine(fake_phone.address)
    energy = checks["energy"]
    assert (code, energy["verdict"]) == (0, verdict)
    assert found in energy["found"]
    assert advice in energy["advice"]
    assert bool(advice) == bool(energy["advice"])
    assert set(fake_phone.files.nodes) == before


def _warm(phone: FakePhone) -> None:
    phone.heat_up()


def _hot_battery(phone: FakePhone) -> None:
    phone.state.battery_celsius = 41.5


def _empty(phone: FakePhone) -> None:
    phone.state.battery_level = 12


def _full(phone: FakePhone) -> None:
    phone.fill_disk(free=2**20)


def _noexec(phone: FakePhone) -> None:
    phone.files.noexec = True


def _saving(phone: FakePhone) -> None:
    phone.state.settings["global", "low_power"] = "1"


def _starting(phone: FakePhone) -> None:
    phone.state.more_properties["sys.boot_completed"] = ""


def _refuses_to_pin(phone: FakePhone) -> None:
    async def taskset(call: Call) -> int:
        await call.err("taskset: failed to set 4711's affinity: Invalid argument\n")
        return 1

    phone.programs["taskset"] = taskset


def _no_setsid(phone: FakePhone) -> None:
    del phone.programs["setsid"]


def _ancient(phone: FakePhone) -> None:
    phone.state.sdk = 19


def _does_not_start(phone: FakePhone) -> None:
    says = "alignment (4096) cannot be smaller than system page size (16384)"
    FakeBenchmarkModel(says=f"CANNOT LINK EXECUTABLE: {says}", exit_code=1).install(phone)


def _big_cores_offline(phone: FakePhone) -> None:
    phone.state.more_files |= {
        "/sys/devices/system/cpu/online": "0-6",
        "/sys/devices/system/cpu/cpu7/cpufreq/cpuinfo_max_freq": None,
    }


def _other_abi(phone: FakePhone) -> None:
    phone.state.abi = "x86_64"


@pytest.mark.parametrize(
    ("ail", "name", "found", "advice"),
    [
        (_warm, "thermal", "thermal status 3, CPU at 62 C", "too warm"),
        (_hot_battery, "battery", "80 %, 41.5 C", "at most 37 C wanted"),
        (_empty, "battery", "12 %, 27.5 C", "at least 30 % wanted"),
        (_full, "space", "1 MiB free in /data/local/tmp", "free 256 MiB"),
        (_does_not_start, "runs", "is of no use here", "pages of 16 KB"),
        (_big_cores_offline, "cores", "fastest cores are not known", "name the cores"),
        (_noexec, "programs", "can't execute: Permission denied", "run programs"),
        (_saving, "power saving", "Battery Saver is on", "switch it off"),
        (_starting, "booted", "still starting", "home screen"),
        (_refuses_to_pin, "pinning", "affinity: Invalid argument", "no visit can be made"),
        (_no_setsid, "programs", "no `setsid`", "Android 6"),
        (_ancient, "android", "API 19", "API 23 or later"),
        (_other_abi, "runner", "no runner for this phone", "is built for arm64-v8a"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    ail: Callable[[FakePhone], None],
    name: str,
    found: str,
    advice: str,
    fake_phone: FakePhone,
    examine: Examine,
) -> None:
    ail(fake_phone)
    code, checks = examine(fake_phone.address)
    assert code == 1
    assert [key for key, check in checks.items() if check["verdict"] == "bad"] == [name]
    assert found in checks[name]["found"]
    assert advice in checks[name]["advice"]


def test_what_only_makes_numbers_worse_is_a_warning(
    fake_phones: FakePhones, examine: Examine
) -> None:
    state = PhoneState(sdk=28, wakefulness="Dozing", clusters=(((0, 1), 1_500_000),))
    for core in (0, 1):
        state.more_files[f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq"] = None
    phone = fake_phones.add(state)
    FakeBenchmarkModel().install(phone)
    del phone.programs["input"]
    code, checks = examine(phone.address)
    assert code == 0
    warned = {key for key, check in checks.items() if check["verdict"] == "warning"}
    assert warned == {"android", "thermal", "awake", "cores", "pinning", "clock"}
    assert all(checks[key]["advice"] for key in warned)


def test_a_phone_that_sleeps_is_woken_by_the_agent(fake_phone: FakePhone, examine: Examine) -> None:
    fake_phone.state.wakefulness = "Dozing"
    code, checks = examine(fake_phone.address)
    assert (code, checks["awake"]["verdict"]) == (0, "ok")
    assert checks["awake"]["found"] == "the phone is dozing, and is woken for each batch"
    assert (fake_phone.state.wakefulness, fake_phone.state.doze_enabled) == ("Asleep", True)


def test_a_phone_that_cannot_pin_is_measured_unpinned(
    fake_phone: FakePhone, examine: Examine
) -> None:
    del fake_phone.programs["taskset"]
    code, checks = examine(fake_phone.address)
    assert (code, checks["runs"]["verdict"]) == (0, "ok")
    assert checks["pinning"]["verdict"] == "warning"
    assert "will not be pinned" in checks["pinning"]["advice"]


@pytest.mark.parametrize("machine", [ARM64, X86_64])
def test_a_library_that_the_phone_cannot_load_is_named_before_it_is_pushed(
    fake_phone: FakePhone, examine: Examine, tmp_path: Path, machine: int
) -> None:
    fake_phone.programs["getconf"] = pages_of_16_kb
    library = tmp_path / "libgpu.so"
    library.write_bytes(elf(4096, machine))
    code, checks = examine(
        fake_phone.address, *("--runner", str(runner(tmp_path)), "--library", str(library))
    )
    assert (code, checks["runner"]["verdict"]) == (1, "bad")
    why = "aligned to pages of 4 KB" if machine == ARM64 else "built for x86_64"
    assert checks["runner"]["advice"].startswith("libgpu.so")
    assert why in checks["runner"]["advice"]
    assert checks["runs"]["verdict"] == "warning"
    assert not any(name.endswith("libgpu.so") for name in fake_phone.files.nodes)


def test_a_missing_runner_is_said_with_how_to_get_one(
    fake_phone: FakePhone, examine: Examine, tmp_path: Path
) -> None:
    code, checks = examine(fake_phone.address, "--runner", str(tmp_path / "nothing"))
    assert (code, checks["runner"]["verdict"]) == (1, "bad")
    assert "device-agent runner fetch" in checks["runner"]["advice"]


def test_a_phone_that_does_not_answer_ends_it(fake_phone: FakePhone, examine: Examine) -> None:
    fake_phone.lose_power()
    code, checks = examine(fake_phone.address)
    assert (code, list(checks)) == (1, ["reachable"])
    assert "no answer at" in checks["reachable"]["found"]


def test_a_phone_that_is_lost_halfway_ends_it(fake_phone: FakePhone, examine: Examine) -> None:
    fake_phone.when_called["df"] = fake_phone.lose_power_soon
    code, checks = examine(fake_phone.address)
    assert (code, list(checks)[-1]) == (1, "space")
    assert checks["space"]["verdict"] == "bad"
    assert "cable" in checks["space"]["advice"]


def test_an_untrusting_phone(fake_phone: FakePhone, examine: Examine) -> None:
    fake_phone.show_dialog()
    with impatient():
        code, checks = examine(fake_phone.address)
    assert (code, list(checks)) == (1, ["reachable"])
    assert "confirm `Allow USB debugging?`" in checks["reachable"]["advice"]


def test_the_owner_is_waited_for(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.show_dialog()
    threading.Timer(1.5, fake_phone.accept_key).start()
    words = ["doctor", fake_phone.address, "--runner", str(runner(tmp_path)), "--wait", "20"]
    with impatient():
        said = CliRunner().invoke(app, words)
    assert said.exit_code == 0
    assert "waiting for 20 s" in said.stderr
    assert said.stdout.splitlines()[0].startswith("ok   reachable    through tcp")


def test_an_owner_who_refuses_at_once_is_not_asked_without_a_pause(
    fake_phone: FakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def refuse(transport: StreamTransport) -> None:
        tries.append(time.monotonic())
        raise Unauthorised(f"{transport.serial} says no")

    monkeypatch.setattr(StreamTransport, "reconnect", refuse)
    said = CliRunner().invoke(app, ["doctor", fake_phone.address, "--wait", "0.6"])
    assert said.exit_code == 1
    assert 2 <= len(tries) <= 3


def test_a_phone_that_is_measured_on_is_left_alone(fake_phone: FakePhone, tmp_path: Path) -> None:
    with device_lock(tmp_path, file_name(fake_phone.address)):
        said = CliRunner().invoke(app, ["doctor", fake_phone.address])
    assert "another agent" in str(said.exception)
    assert fake_phone.calls == []
