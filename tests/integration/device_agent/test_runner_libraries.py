"""A runner that loads its GPU or NPU from libraries, as builds of LiteRT's tool do."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from device_agent.benchmark_model.program import Program, with_libraries
from device_agent.errors import PhoneUnusable, RunnerRefused
from device_agent.phones.probe import Choice
from tests.integration.device_agent.fake_runner import PROGRAM
from tests.integration.device_agent.phone_bench import NO_ANCHOR, phone_bench
from tests.phones.fake_phone import FakePhone
from tests.phones.shell_io import Call

SAID = (
    (Path(__file__).parents[2] / "unit/device_agent/golden/litert.txt")
    .read_text()
    .replace("TfLiteXNNPackDelegate", "LITERT_CL")
)
LIBRARY = "libLiteRtClGlAccelerator.so"
LITERT = Program(PROGRAM.content, "litert", "2.1.0")


async def benchmark_model(call: Call) -> int:
    """Finds its GPU where the loader would look, or runs the model without."""
    assert "--use_gpu=true" in call.args
    folder = call.shell.variables.get("LD_LIBRARY_PATH", "/nowhere")
    found = call.phone.files.find(f"{folder}/{LIBRARY}") is not None
    await call.out(SAID if found else SAID.replace("LITERT_CL", "TfLiteXNNPackDelegate"))
    return 0


def reasons(phone: FakePhone, folder: Path, program: Program) -> list[str]:
    """Why tasks failed that an agent measured with this program."""
    with phone_bench(phone, folder, NO_ANCHOR, Choice(program, "gpu")) as bench:
        phone.programs["benchmark_model"] = benchmark_model
        bench.lease({"a": 2})
        bench.run()
        assert len(bench.peer.visits) == (0 if bench.reasons() else 2)
        return bench.reasons()


def test_a_gpu_that_comes_as_a_library_is_found_beside_the_runner(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    (reason,) = reasons(fake_phone, tmp_path, LITERT)
    assert "no sign that GPU ran the graph" in reason
    (tmp_path / LIBRARY).write_bytes(PROGRAM.content)
    given = with_libraries(LITERT, [tmp_path / LIBRARY])
    assert reasons(fake_phone, tmp_path, given) == []


NPU_SAID = SAID.replace("LITERT_CL", "DispatchDelegate")
#: Qualcomm's: what LiteRT loads, and what its NPU does
NPU_LIBRARIES = {
    "libLiteRtDispatch_Qualcomm.so": PROGRAM.content,
    "libLiteRtCompilerPlugin_Qualcomm.so": PROGRAM.content,
    "libQnnHtpV79Skel.so": b"\x7fELF\x01\x01" + bytes(12) + b"\xa4\x00",
}


async def on_npu(call: Call) -> int:
    """Finds its NPU by its flags, and the NPU its own library by the variable."""
    flags = dict(arg[2:].split("=", 1) for arg in call.args)
    assert (flags["use_npu"], flags["use_cpu"]) == ("true", "false")
    variables = call.shell.variables
    folders = {
        "libLiteRtDispatch_Qualcomm.so": flags["dispatch_library_path"],
        "libLiteRtCompilerPlugin_Qualcomm.so": flags["compiler_plugin_library_path"],
        "libQnnHtpV79Skel.so": variables["ADSP_LIBRARY_PATH"],
    }
    for name, folder in folders.items():
        assert folder == variables["LD_LIBRARY_PATH"]
        assert call.phone.files.read(f"{folder}/{name}") == NPU_LIBRARIES[name]
    await call.out(NPU_SAID)
    return 0


def test_an_npu_is_found_through_its_makers_libraries(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    given = replace(LITERT, libraries=NPU_LIBRARIES)
    with phone_bench(fake_phone, tmp_path, NO_ANCHOR, Choice(given, "npu")) as bench:
        fake_phone.programs["benchmark_model"] = on_npu
        bench.lease({"a": 2})
        bench.run()
        assert bench.reasons() == []
        assert len(bench.peer.visits) == 2
        identity = bench.agent.bench.device.identity
        assert (identity.delegate, identity.runner_flags) == ("npu", None)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        # An NPU may refuse the small operator and take others.
        (SAID.replace("LITERT_CL", "TfLiteXNNPackDelegate"), ""),
        (f"{NPU_SAID}ERROR: No usable Dispatch runtime found\n", "found no NPU that it can use"),
    ],
)
def test_an_agent_does_not_start_without_an_npu(
    fake_phone: FakePhone, tmp_path: Path, said: str, refused: str
) -> None:
    async def speak(call: Call) -> int:
        await call.out(said)
        return 0

    choice = Choice(replace(LITERT, libraries=NPU_LIBRARIES), "npu")
    with phone_bench(fake_phone, tmp_path, NO_ANCHOR, choice) as bench:
        fake_phone.programs["benchmark_model"] = speak
        with pytest.raises(PhoneUnusable, match=refused) if refused else nullcontext():
            bench.agent.bench.device.try_runner()


@pytest.mark.parametrize("missing", [*NPU_LIBRARIES][:2])
def test_an_npu_without_its_libraries_is_refused(
    fake_phone: FakePhone, tmp_path: Path, missing: str
) -> None:
    given = {name: content for name, content in NPU_LIBRARIES.items() if name != missing}
    choice = Choice(replace(LITERT, libraries=given), "npu")
    wanted = missing.partition("_")[0]
    with (
        pytest.raises(RunnerRefused, match=f"{wanted}_MAKER.so, which is not given"),
        phone_bench(fake_phone, tmp_path, NO_ANCHOR, choice),
    ):
        pass


def test_another_library_is_another_target() -> None:
    one = replace(LITERT, libraries={"a.so": b"1", "b.so": b"2"})
    assert one.sha256 == replace(LITERT, libraries={"b.so": b"2", "a.so": b"1"}).sha256
    others = [LITERT, replace(LITERT, libraries={"a.so": b"1", "b.so": b"3"})]
    assert one.sha256 not in {other.sha256 for other in others}
    assert LITERT.sha256 == PROGRAM.sha256
