"""What a phone's number is true for: its clock, its GPU's interface and precision, its own name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from device_agent.benchmark_model.flags import runner_options, visit_flags
from device_agent.errors import DeviceNotReady, RunnerRefused
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from netspec.protocol import PHONE, TargetIdentity
from tests.integration.device_agent.fake_runner import PROGRAM
from tests.integration.device_agent.phone_bench import PhoneBench, phone_bench
from tests.made_up import identity as made_up_identity
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.shell_io import Call
from tests.phones.state import PhoneState

CLOCK = "/sys/devices/system/cpu/cpu7/cpufreq"
GPU_WORDS = (
    "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the "
    "delegate.\nINFO: Initialized {api}-based API.\n"
)


def identity(phone: FakePhone, folder: Path, choice: Choice | None = None) -> TargetIdentity:
    with phone_bench(phone, folder, choice=choice or Choice(PROGRAM)) as bench:
        return bench.agent.bench.device.identity


def test_the_locked_clock_is_part_of_the_target(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.state.root = True
    fast = identity(fake_phone, tmp_path)
    assert (fast.clock_policy, fast.locked_khz) == ("locked", (2_840_000,))
    fake_phone.state.more_files[f"{CLOCK}/scaling_max_freq"] = "1800000"
    slow = identity(fake_phone, tmp_path)
    assert (slow.clock_policy, slow.locked_khz) == ("locked", (1_800_000,))
    assert fast.id != slow.id


def test_a_free_clock_leaves_the_target_as_it_was() -> None:
    fields = made_up_identity().model_dump(mode="json")
    assert not {"runner_flags", "locked_khz"} & fields.keys()
    dumped = TargetIdentity.model_validate(fields).model_dump(mode="json")
    assert dumped == fields


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("which", ["min", "max"])
def test_visits_under_another_clock_are_rejected(
    fake_phone: FakePhone, tmp_path: Path, root: bool, which: str
) -> None:
    fake_phone.state.root = root
    with phone_bench(fake_phone, tmp_path) as bench:

        def change(number: int) -> None:
            if number == 3:
                fake_phone.state.more_files[f"{CLOCK}/scaling_{which}_freq"] = "1300000"
            if number == 4:
                wanted = "2840000" if root or which == "max" else "300000"
                fake_phone.state.more_files[f"{CLOCK}/scaling_{which}_freq"] = wanted

        bench.runner.before.append(change)
        bench.lease({"a": 6})
        bench.run()
        rejected = [one.rejected for one in bench.peer.visits if one.rejected]
        if not root and which == "min":
            assert rejected == []
            return
        assert len(rejected) == 2
        assert all(
            "of core 7 was 1300 MHz around this visit, and 2840 MHz" in why for why in rejected
        )
        assert bench.peer.outcomes() == {"a": "done"}


def test_another_locked_clock_than_the_registered_one_blames_no_task(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.state.root = True
    with phone_bench(fake_phone, tmp_path) as bench:
        fake_phone.state.more_files[f"{CLOCK}/scaling_max_freq"] = "1800000"
        with pytest.raises(DeviceNotReady, match="locked 1800 MHz now, but locked 2840 MHz"):
            bench.agent.bench.device.prepare([])


async def _su(call: Call) -> int:
    """Magisk's: a root shell for one command."""
    assert call.args[0] == "-c"
    call.phone.state.root = True
    try:
        return await call.shell.child().run(call.args[1], call.io)
    finally:
        call.phone.state.root = False


async def _id(call: Call) -> int:
    await call.out("0\n" if call.phone.state.root else "2000\n")
    return 0


def test_a_phone_rooted_by_magisk_is_locked_and_given_back(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.programs |= {"su": _su, "id": _id}
    with phone_bench(fake_phone, tmp_path) as bench:
        device = bench.agent.bench.device
        assert device.identity.locked_khz == (2_840_000,)
        device.prepare([])
        assert fake_phone.state.files()[f"{CLOCK}/scaling_min_freq"].strip() == "2840000"
        device.rest()
        assert fake_phone.state.files()[f"{CLOCK}/scaling_min_freq"].strip() == "300000"


def test_fixed_performance_that_is_refused_with_exit_code_zero_is_not_granted(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    async def cmd(call: Call) -> int:
        await call.err("Failed to set FIXED_PERFORMANCE mode\n")
        return 0

    fake_phone.programs["cmd"] = cmd
    assert identity(fake_phone, tmp_path).clock_policy == "free"


def test_battery_saver_blames_no_task(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.state.settings["global", "low_power"] = "1"
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.lease({"a": 1})
        bench.run()
        assert bench.peer.outcomes() == {"a": "unfinished"}
        assert bench.runner.launched == []


def test_precision_and_interface_of_a_gpu_are_part_of_the_target(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    plain = identity(fake_phone, tmp_path)
    assert plain.runner_flags is None
    gpu = identity(fake_phone, tmp_path, Choice(PROGRAM, "gpu"))
    assert gpu.runner_flags == ("gpu_backend=cl", "gpu_precision_loss_allowed=false")
    half = Choice(PROGRAM, "gpu", flags=("gpu_precision_loss_allowed=true",))
    assert identity(fake_phone, tmp_path, half).id != gpu.id


def gpu_visits(bench: PhoneBench, api: str) -> list[str]:
    """Why visits failed on a GPU that is driven by this interface."""
    words = bench.runner._words()
    bench.runner.says = GPU_WORDS.format(api=api) + words.partition("delegate.\n")[2]
    bench.lease({"a": 2})
    bench.run()
    assert len(bench.peer.visits) == (0 if bench.reasons() else 2)
    return bench.reasons()


def test_a_gpu_that_falls_back_to_opengl_is_no_measurement(
    fake_phones: FakePhones, tmp_path: Path
) -> None:
    for number, (flags, api, refused) in enumerate(
        [
            ((), "OpenCL", False),
            ((), "OpenGL", True),
            (("gpu_backend=gl",), "OpenGL", False),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        choice = Choice(PROGRAM, "gpu", flags=flags)
        with phone_bench(fake_phones.add(), folder, choice=choice) as bench:
            reasons = gpu_visits(bench, api)
            assert [("ran through OpenGL" in reason) for reason in reasons] == [True] * refused


def test_nnapi_needs_an_accelerator_that_is_there(fake_phone: FakePhone, tmp_path: Path) -> None:
    with pytest.raises(RunnerRefused, match="nnapi_accelerator_name=NAME"):
        runner_options("tflite", "nnapi", ())
    choice = Choice(PROGRAM, "nnapi", flags=("nnapi_accelerator_name=google-edgetpu",))
    with phone_bench(fake_phone, tmp_path, choice=choice) as bench:
        words = bench.runner._words().replace("XNNPACK", "NNAPI")
        bench.runner.says = f"INFO: NNAPI accelerators available: [nnapi-reference]\n{words}"
        bench.lease({"a": 1})
        bench.run()
        (reason,) = bench.reasons()
        assert "no NNAPI accelerator google-edgetpu; it has nnapi-reference" in reason


@pytest.mark.parametrize("flag", ["graph=x", "num_threads=4", "x", "a=b c", "use_gpu=true", "A=1"])
def test_the_agents_own_flags_and_no_flags_are_refused(flag: str) -> None:
    with pytest.raises(RunnerRefused, match="cannot be passed on"):
        runner_options("tflite", "xnnpack", (flag,))


def test_versions_that_ignore_threads_are_refused(fake_phone: FakePhone, tmp_path: Path) -> None:
    deaf = replace(PROGRAM, kind="litert", version="2.0.3")
    with pytest.raises(RunnerRefused, match="runs one thread"):
        identity(fake_phone, tmp_path, Choice(deaf, threads=4))
    assert identity(fake_phone, tmp_path, Choice(deaf)).threads == 1
    assert "--num_threads=4" in visit_flags("tflite", "xnnpack", 4, PHONE)


def test_a_phone_is_known_by_its_own_number_whatever_its_port(
    fake_phones: FakePhones, tmp_path: Path
) -> None:
    for serial, known in (("R58M1", True), ("1234567890ABCDEF", False), ("00000000", False)):
        phone = fake_phones.add(PhoneState(serial=serial))
        with phone_bench(phone, tmp_path) as bench:
            device = bench.agent.bench.device
            assert isinstance(device, Phone)
            assert device.serial == (serial if known else phone.address)
            assert device.reached_as == phone.address
