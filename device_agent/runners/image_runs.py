"""Test images through a model on this machine, in a process of its own.

Also that process's program: `python -m device_agent.runners.image_runs ORDER`, with an order as
JSON; it writes the outputs to a `.npy` file, and prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_agent.errors import ModelRefused, RunnerFailed, VisitTimedOut
from device_agent.runners.base import ImageOutputs
from device_agent.runners.litert import START_TIMEOUT_S, runner_environment
from device_agent.runners.runtime import interpreter_class
from device_agent.text import one_line, printed
from netspec.images import Images
from netspec.layers import Float32Array

#: what one image may take at most, s
_IMAGE_S = 10.0
#: between two looks at whether the runs are still wanted, s
_LOOK_EVERY_S = 0.2
_MAX_WORDS = 300
#: in the unit of `ru_maxrss`: bytes on macOS, KiB elsewhere
_MIB = 2**20 if sys.platform == "darwin" else 2**10


@dataclass(frozen=True)
class _Order:
    model: str
    images: str
    outputs: str
    core: int | None


@dataclass(frozen=True)
class LiteRtImages:
    """Runs images as visits are run: by LiteRT with XNNPACK and one thread."""

    #: that runs are pinned to, None where the system cannot pin
    core: int | None
    #: the Python that holds the runtime; None: this one
    python: Path | None = None

    def run(self, model: Path, images: Images, go_on: Callable[[], bool]) -> ImageOutputs | None:
        """What the model gives for the images; None: `go_on` said no before the end.

        Raises:
            VisitFailed: the model does not take them, or the process failed.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "images.npy", images)
            order = _Order(
                model=str(model.resolve()),
                images=str(folder / "images.npy"),
                outputs=str(folder / "outputs.npy"),
                core=self.core,
            )
            answer = self._answer(order, START_TIMEOUT_S + _IMAGE_S * len(images), go_on)
            if answer is None:
                return None
            logits: Float32Array = np.load(folder / "outputs.npy")
        return ImageOutputs(logits, answer["load_ms"], answer["peak_memory_mib"])

    def _answer(
        self, order: _Order, timeout_s: float, go_on: Callable[[], bool]
    ) -> dict[str, Any] | None:
        command = [
            *(str(self.python or sys.executable), "-P", "-m", __name__),
            json.dumps(asdict(order)),
        ]
        with tempfile.TemporaryFile() as log, _process(command, log) as process:
            deadline = time.monotonic() + timeout_s
            while process.poll() is None:
                if not go_on():
                    return None
                if time.monotonic() > deadline:
                    raise VisitTimedOut(f"the images took longer than {timeout_s:g} s")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY_S)
            assert process.stdout is not None  # noqa: S101 (Popen was told to pipe it)
            said = process.stdout.read()
            if process.returncode or not said:
                log.seek(0)
                words = one_line(printed(log.read()))[-_MAX_WORDS:] or "nothing"
                raise RunnerFailed(
                    f"the process that ran the images ended with code {process.returncode}; it "
                    f"said: {words}"
                )
        answer: dict[str, Any] = json.loads(said)
        if "refused" in answer:
            raise ModelRefused(answer["refused"])
        return answer


@contextmanager
def _process(command: list[str], log: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive this block, nor gets this one's signals."""
    process = subprocess.Popen(  # noqa: S603 (the user's own Python)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
        env=runner_environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Runs the images of the order that is the only argument."""
    # Whatever native code prints must not mix with the answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    order = _Order(**json.loads(sys.argv[1]))
    if order.core is not None:
        os.sched_setaffinity(0, {order.core})
    images: Images = np.load(order.images)
    interpreter_type = interpreter_class()
    before, started = _peak_memory(), time.perf_counter()
    try:
        interpreter = interpreter_type(model_path=order.model, num_threads=1)
        interpreter.allocate_tensors()
        loaded = time.perf_counter()
        np.save(order.outputs, _outputs(interpreter, images))
    except (ValueError, RuntimeError) as error:
        answer: dict[str, Any] = {"refused": f"the model does not run the images: {error}"}
    else:
        answer = {
            "load_ms": 1000 * (loaded - started),
            "peak_memory_mib": (_peak_memory() - before) / _MIB,
        }
    with answers:
        json.dump(answer, answers)


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _outputs(interpreter: Any, images: Images) -> Float32Array:
    """Real values [images, numbers].

    Raises:
        ValueError: the model takes something else.
    """
    inputs = interpreter.get_input_details()
    wanted = [(tuple(one["shape"]), np.dtype(one["dtype"])) for one in inputs]
    if wanted != [((1, *images.shape[1:]), images.dtype)]:
        takes = "; ".join(f"{dtype} {list(map(int, shape))}" for shape, dtype in wanted)
        raise ValueError(f"they are {images.dtype} {list(images.shape)}, it takes {takes}")
    details = interpreter.get_output_details()
    rows = []
    for image in images:
        interpreter.set_tensor(inputs[0]["index"], image[np.newaxis])
        interpreter.invoke()
        rows.append(np.concatenate([_real(interpreter, one).ravel() for one in details]))
    return np.stack(rows)


def _real(interpreter: Any, detail: dict[str, Any]) -> Float32Array:
    values: npt.NDArray[Any] = interpreter.get_tensor(detail["index"])
    scale, zero_point = detail["quantization"]
    if values.dtype in (np.int8, np.uint8) and scale:
        values = (values.astype(np.float32) - zero_point) * np.float32(scale)
    return np.asarray(values, np.float32)


if __name__ == "__main__":
    main()
