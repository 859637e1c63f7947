"""Test images through a model on a phone: a launch of TFLite's `benchmark_model` for each."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from device_agent.benchmark_model.evidence import require_delegation
from device_agent.benchmark_model.failures import ending
from device_agent.benchmark_model.flags import MAX_PHASE_S, image_file_flags
from device_agent.benchmark_model.output import ToolOutput, parse_output
from device_agent.errors import DeviceNotReady, ModelRefused, RunnerFailed
from device_agent.phones.files import QUICK_S, PhoneFiles
from device_agent.runners.base import ImageOutputs
from device_agent.text import one_line
from device_agent.transports.base import Transport
from netspec.errors import UnreadableModel
from netspec.images import Images
from netspec.layers import Float32Array
from netspec.protocol import Delegate
from netspec.tflite.file_graph import GraphTensor, file_graph

#: two phases, loading, and delegates that compile
_LAUNCH_S = 2.0 * MAX_PHASE_S + 60.0
_PUSH_S = 120.0
_MAX_WORDS = 300
_US_PER_MS = 1000
_DTYPES = {"FLOAT32": "<f4", "INT8": "|i1", "UINT8": "|u1"}
_MEMORY = re.compile(
    r"Memory footprint delta from the start of the tool \(MB\):.*overall=([0-9.]+)"
)


@dataclass(frozen=True)
class PhoneImages:
    """Runs images as visits are run, by the same program, pinned and delegated alike.

    The outputs come as they are computed; nothing is measured while files move.
    """

    transport: Transport
    files: PhoneFiles
    #: program, what pins it, and flags of a launch
    command: tuple[str, ...]
    delegate: Delegate

    def run(self, model: Path, images: Images, go_on: Callable[[], bool]) -> ImageOutputs | None:
        """What the model gives for the images; None: `go_on` said no before the end.

        Raises:
            VisitFailed: the model does not take them, or a launch failed.
            DeviceNotReady: the phone went away, or has no room.
        """
        shape, outputs = _tensors(model, images)
        graph = str(self.files.folders.models / self.files.push_models([model])[model])
        folder = self.files.folders.images
        self._say(f"rm -rf {folder} && mkdir -p {folder}")
        rows: list[Float32Array] = []
        launches: list[tuple[ToolOutput, str]] = []
        for index, image in enumerate(images):
            if not go_on():
                return None
            given, written = folder / f"{index}.in", folder / f"{index}.out"
            self.transport.push(image.tobytes(), given, mode=0o644, timeout_s=_PUSH_S)
            flags = image_file_flags(shape, str(given), str(written))
            launches.append(self._launch((f"--graph={graph}", *flags)))
            try:
                content = self.transport.pull(written, timeout_s=_PUSH_S)
            except FileNotFoundError as error:
                raise RunnerFailed("benchmark_model wrote no outputs") from error
            rows.append(_reals(content, outputs))
            self._say(f"rm -f {given} {written}")
        self._say(f"rm -rf {folder}")
        loads_us = [one.init_us for one, _ in launches if one.init_us is not None]
        peaks = [float(found[1]) for _, text in launches if (found := _MEMORY.search(text))]
        return ImageOutputs(
            logits=np.stack(rows),
            load_ms=median(loads_us) / _US_PER_MS if loads_us else None,
            peak_memory_mib=max(peaks, default=None),
        )

    def _launch(self, flags: Sequence[str]) -> tuple[ToolOutput, str]:
        line = f"{shlex.join([*self.command, *flags])} 2>&1"
        launch = self.transport.shell(line, timeout_s=_LAUNCH_S)
        if launch.exit_code:
            words = one_line(launch.output)[-_MAX_WORDS:] or "nothing"
            raise RunnerFailed(
                f"benchmark_model {ending(launch.exit_code)} on an image; it said: {words}"
            )
        output = parse_output(launch.output)
        require_delegation(launch.output, self.delegate, allow_partial=True)
        return output, launch.output

    def _say(self, command: str) -> None:
        result = self.transport.shell(command, timeout_s=QUICK_S, merged=True)
        if result.exit_code:
            raise DeviceNotReady(
                f"{self.transport.serial} cannot make room for images: {one_line(result.output)}"
            )


def _tensors(model: Path, images: Images) -> tuple[tuple[int, ...], tuple[GraphTensor, ...]]:
    """The shape of the one input of a model, and its outputs.

    Raises:
        ModelRefused: it takes no such images, or gives what is no number.
    """
    try:
        graph = file_graph(model.read_bytes())
    except UnreadableModel as error:
        raise ModelRefused(str(error)) from error
    wanted = [(one.shape, _DTYPES.get(one.type)) for one in graph.inputs]
    shape = (1, *images.shape[1:])
    if wanted != [(shape, images.dtype.str)]:
        takes = "; ".join(f"{one.type} {list(one.shape)}" for one in graph.inputs)
        raise ModelRefused(
            f"the model does not run the images: they are {images.dtype} {list(images.shape)}, it "
            f"takes {takes}"
        )
    strange = [one.type for one in graph.outputs if one.type not in _DTYPES or min(one.shape) < 1]
    if strange:
        raise ModelRefused(
            f"the model gives {', '.join(strange)}; expected numbers of 8 or 32 bits"
        )
    return shape, graph.outputs


def _reals(content: bytes, outputs: Sequence[GraphTensor]) -> Float32Array:
    """Real values of all outputs, one after the other.

    Raises:
        RunnerFailed: there are other many bytes.
    """
    types = [np.dtype(_DTYPES[one.type]) for one in outputs]
    sizes = [math.prod(one.shape) for one in outputs]
    expected = sum(size * dtype.itemsize for size, dtype in zip(sizes, types, strict=True))
    if len(content) != expected:
        raise RunnerFailed(
            f"benchmark_model wrote {len(content)} bytes of outputs, expected {expected}"
        )
    parts: list[Float32Array] = []
    start = 0
    for tensor, size, dtype in zip(outputs, sizes, types, strict=True):
        values = np.frombuffer(content, dtype, size, start).astype(np.float32)
        start += size * dtype.itemsize
        is_coded = tensor.type != "FLOAT32"
        parts.append(
            (values - tensor.zero_point) * np.float32(tensor.scale) if is_coded else values
        )
    return np.concatenate(parts)
