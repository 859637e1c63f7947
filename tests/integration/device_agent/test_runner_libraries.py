"""A runner that loads its GPU from a library, as builds of LiteRT's tool do."""

from dataclasses import replace
from pathlib import Path

from device_agent.benchmark_model.program import Program, with_libraries
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


def test_another_library_is_another_target() -> None:
    one = replace(LITERT, libraries={"a.so": b"1", "b.so": b"2"})
    assert one.sha256 == replace(LITERT, libraries={"b.so": b"2", "a.so": b"1"}).sha256
    others = [LITERT, replace(LITERT, libraries={"a.so": b"1", "b.so": b"3"})]
    assert one.sha256 not in {other.sha256 for other in others}
    assert LITERT.sha256 == PROGRAM.sha256
