"""The inside of a piece of test images: load a model, run it on each, keep what it gives.

Runs in a process of its own, which ends with the piece.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from device_agent.runners.orders import ImagesOrder
from device_agent.runners.timed_runs import Interpreter, peak_bytes
from netspec.images import Images
from netspec.layers import Float32Array

_MS_PER_S = 1_000
_BYTES_PER_MIB = 2**20


def run_images(order: ImagesOrder, loaded: Callable[[], object]) -> dict[str, Any]:
    """Writes the outputs; `load_ms` and `peak_memory_mib`, or `error` and `message`.

    Args:
        order: what to do.
        loaded: called when the model is loaded.
    """
    images: Images = np.load(order.images)
    before, started = peak_bytes(), time.perf_counter()
    try:
        interpreter = Interpreter(model_path=order.model, num_threads=1)
        interpreter.allocate_tensors()
        ready = time.perf_counter()
        loaded()
        np.save(order.outputs, _outputs(interpreter, images))
    except (ValueError, RuntimeError) as error:
        return {"error": "ModelRefused", "message": f"the model does not run the images: {error}"}
    return {
        "load_ms": _MS_PER_S * (ready - started),
        "peak_memory_mib": (peak_bytes() - before) / _BYTES_PER_MIB,
    }


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
