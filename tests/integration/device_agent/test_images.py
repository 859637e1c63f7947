"""Models on test images: on this machine, on phones, and as pieces of a server's jobs."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from device_agent.errors import DeviceNotReady, ModelRefused, VisitFailed
from device_agent.phones.connect import reach
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.runners.forked_runs import always
from device_agent.runners.image_runs import LiteRtImages
from device_agent.runners.litert import LiteRtRunner
from netspec.images import Images, pack
from netspec.layers import Float32Array
from netspec.operators import PRECISIONS, Precision
from netspec.wire import JobRequest
from tests.integration.device_agent.fake_runner import IMAGE_PROGRAM, PROGRAM, FakeBenchmarkModel
from tests.integration.device_agent.models import block_file, undelegated_bytes
from tests.integration.device_agent.phone_bench import NO_ANCHOR
from tests.integration.device_agent.processes import Farm
from tests.integration.device_agent.test_adbd_phone import options  # noqa: F401
from tests.phones.adbd import AdbdPhone
from tests.phones.agent_files import IMAGES
from tests.phones.fake_phone import FakePhone
from tests.waiting import wait_for

SIZE, CHANNELS = 8, 8


@pytest.fixture(scope="module")
def here() -> Iterator[LiteRtImages]:
    """This machine, whose fork server goes on from test to test."""
    runner = LiteRtRunner(None)
    yield runner.images()
    runner.close()


def images(precision: Precision, count: int, seed: int = 0) -> Images:
    made = np.random.default_rng(seed)
    shape = (count, SIZE, SIZE, CHANNELS)
    if precision == "int8":
        return made.integers(-128, 128, shape, np.int8)
    return made.uniform(-1, 1, shape).astype(np.float32)


def expected(model: Path, given: Images) -> Float32Array:
    """What LiteRT gives in this process, as real values."""
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    (output,) = interpreter.get_output_details()
    rows = []
    for image in given:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis])
        interpreter.invoke()
        values = interpreter.get_tensor(output["index"])
        scale, zero_point = output["quantization"]
        if values.dtype == np.int8:
            values = (values.astype(np.float32) - zero_point) * np.float32(scale)
        rows.append(values.ravel())
    return np.stack(rows)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_this_machine_gives_what_litert_gives(
    here: LiteRtImages, tmp_path: Path, precision: Precision
) -> None:
    model, given = block_file(tmp_path, precision), images(precision, 5)
    found = here.run(model, given, always)
    assert found is not None
    assert np.array_equal(found.logits, expected(model, given))
    assert found.load_ms is not None
    assert found.load_ms > 0
    assert found.peak_memory_mib is not None
    assert 0 <= found.peak_memory_mib < 200


def test_images_that_a_model_does_not_take_are_refused(here: LiteRtImages, tmp_path: Path) -> None:
    model = block_file(tmp_path)
    with pytest.raises(ModelRefused, match=r"int8 \[2, 8, 8, 8\], it takes float32 \[1, 8, 8, 8\]"):
        here.run(model, images("int8", 2), always)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    with pytest.raises(VisitFailed):
        here.run(broken, images("int8", 2), always)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named numpy >&2; exit 1\n")
    python.chmod(0o755)
    without = LiteRtRunner(None, python=python).images()
    with pytest.raises(DeviceNotReady, match="No module named"):
        without.run(model, images("float32", 1), always)


def test_runs_that_are_not_wanted_any_more_end(here: LiteRtImages, tmp_path: Path) -> None:
    model, given = block_file(tmp_path), images("float32", 2)
    assert here.run(model, given, lambda: False) is None
    # What was in flight does not answer for the next piece.
    found = here.run(model, given[:1], always)
    assert found is not None
    assert found.logits.shape[0] == 1


def test_pieces_do_not_start_a_process_of_their_own(here: LiteRtImages, tmp_path: Path) -> None:
    model, given = block_file(tmp_path), images("float32", 1)
    here.run(model, given, always)
    with patch.object(subprocess, "Popen", side_effect=AssertionError("started again")):
        assert here.run(model, given, always) is not None


def phone_on(fake: FakePhone, folder: Path, runner: FakeBenchmarkModel, **more: Any) -> Phone:
    runner.install(fake)
    choice = Choice(**{"program": IMAGE_PROGRAM, **more})
    phone = Phone(reach(fake.address, "tcp", folder), choice, NO_ANCHOR)
    phone.learn_methods()
    return phone


def by_litert(model: Path, given: Images) -> Callable[[bytes, bytes], bytes]:
    """What the model's outputs are, by an image's bytes."""
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    (output,) = interpreter.get_output_details()

    def outputs(content: bytes, _model: bytes) -> bytes:
        image = np.frombuffer(content, given.dtype).reshape(1, *given.shape[1:])
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        return bytes(interpreter.get_tensor(output["index"]).tobytes())

    return outputs


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_phone_runs_an_image_a_launch(
    fake_phone: FakePhone, tmp_path: Path, precision: Precision
) -> None:
    model, given = block_file(tmp_path, precision), images(precision, 3)
    runner = FakeBenchmarkModel(outputs=by_litert(model, given))
    phone = phone_on(fake_phone, tmp_path, runner)
    assert phone.methods == ("isolated", "in_network", "evaluate", "sustained")
    runner.launched.clear()
    found = phone.evaluate(model, given, always)
    assert found is not None
    assert np.array_equal(found.logits, expected(model, given))
    assert (found.load_ms, found.peak_memory_mib) == (0.9, 2.5)
    assert len(runner.launched) == 3
    with pytest.raises(OSError, match="No such file"):
        fake_phone.files.read(f"{IMAGES}/0.out")
    phone.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": lambda _image, _model: b"\0" * 9}, "wrote 9 bytes of outputs, expected 2048"),
        ({"outputs": None}, "wrote no outputs"),
        ({"ignores": "--output_filepath=x"}, "ignored the flag --output_filepath"),
        ({"delegated": False}, "XNNPACK took nothing"),
        ({"exit_code": 1}, "exit code 1 on an image"),
    ],
)
def test_a_launch_that_gives_no_outputs_says_why(
    fake_phone: FakePhone, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    model, given = block_file(tmp_path), images("float32", 1)
    runner = FakeBenchmarkModel(outputs=by_litert(model, given))
    phone = phone_on(fake_phone, tmp_path, runner)
    for name, value in change.items():
        setattr(runner, name, value)
    with pytest.raises(VisitFailed, match=message):
        phone.evaluate(model, given, always)
    with pytest.raises(ModelRefused, match="they are int8"):
        phone.evaluate(model, images("int8", 1), always)
    phone.close()


def test_a_runner_without_the_flags_is_named_before_anything_is_pushed(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    phone = phone_on(fake_phone, tmp_path, FakeBenchmarkModel(), program=PROGRAM)
    assert "evaluate" not in phone.methods
    assert PROGRAM.lacks_for_images == (
        "benchmark_model tflite fake has no --input_layer_value_files and --output_filepath; give "
        "TFLite's benchmark_model of TensorFlow 2.10 or later"
    )
    phone.close()


def filed(farm: Farm, model: Path, pieces: list[Images]) -> str:
    """A job that runs the model on some pieces on the only target."""
    with farm.client() as profiler:
        subject = profiler.upload_model(model.read_bytes(), model.name)
        named = [
            {"images": profiler.upload_images(pack(piece)), "labels": [0] * len(piece)}
            for piece in pieces
        ]
        request = {
            "name": "images",
            "target_id": profiler.target().id,
            "rounds": 1,
            "evaluation": {"model": subject.model_dump(), "pieces": named},
        }
        return profiler.create_job(JobRequest.model_validate(request)).id


def check(farm: Farm, job: str, model: Path, pieces: list[Images]) -> None:
    """Every piece is what LiteRT gives here."""
    with farm.client() as profiler:
        assert profiler.job(job).state == "done"
        found = profiler.evaluation(job)
        assert found.images == found.images_done == sum(map(len, pieces))
        assert len(profiler.outputs(job)) == len(pieces)
        for number, piece in enumerate(pieces):
            assert np.array_equal(profiler.logits(job, number), expected(model, piece))


def test_a_server_has_a_model_run_on_this_machine(farm: Farm, tmp_path: Path) -> None:
    farm.run_agent()  # makes the target known, and what it can
    model = block_file(tmp_path, "int8")
    pieces = [images("int8", 3, seed) for seed in range(3)]
    job = filed(farm, model, pieces)
    log = farm.run_agent()
    assert "done=3" in log
    check(farm, job, model, pieces)


def test_a_killed_agent_loses_the_piece_it_was_at(farm: Farm, tmp_path: Path) -> None:
    farm.run_agent()
    model = block_file(tmp_path)
    pieces = [images("float32", 2, seed) for seed in range(8)]
    job = filed(farm, model, pieces)
    agent = farm.start_agent()
    with farm.client() as profiler:
        wait_for(lambda: profiler.evaluation(job).images_done >= 2)
        agent.send_signal(signal.SIGKILL)
        agent.wait()
        done = profiler.job(job).tasks_done
    assert 1 <= done < len(pieces)
    log = farm.run_agent()
    assert f"done={len(pieces) - done}" in log
    check(farm, job, model, pieces)


def test_what_a_model_does_not_take_fails_with_the_reason(farm: Farm, tmp_path: Path) -> None:
    farm.run_agent()
    partly = tmp_path / "partly.tflite"
    partly.write_bytes(undelegated_bytes(partly=True))
    job = filed(farm, partly, [images("float32", 1)])
    farm.run_agent()
    with farm.client() as profiler:
        (failure,) = profiler.job(job).failures
    assert "it takes float32 [1, 1, 1, 4]" in failure.reason


def test_a_real_daemons_phone_gives_what_this_machine_gives(
    farm: Farm,
    options: list[str],  # noqa: F811
    adbd_phone: AdbdPhone,
    tmp_path: Path,
) -> None:
    farm.run_agent(*options)
    for precision in PRECISIONS:
        model = block_file(tmp_path, precision)
        pieces = [images(precision, 2, seed) for seed in range(2)]
        job = filed(farm, model, pieces)
        farm.run_agent(*options)
        check(farm, job, model, pieces)
    left = adbd_phone.root / "data/local/tmp/proxyless-farm/images"
    assert not left.exists()
