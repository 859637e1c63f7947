"""A `.tflite` classifier run on this machine by LiteRT, image after image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from netspec.layers import Float32Array
from netspec.quantization import Affine


class TFLiteClassifier:
    """One input image, one vector of logits; float32 outside, whatever the file's precision."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    @property
    def output_scale(self) -> float | None:
        """Step of the output's int8 codes, None for float32."""
        affine = _affine(self._output)
        return affine.scale if affine else None

    def logits(
        self, images: Float32Array, on_image: Callable[[int], None] = lambda _: None
    ) -> Float32Array:
        """Logits [N, classes] for normalised images [N, H, W, 3], dequantized if int8.

        `on_image` is called with the number of images done.
        """
        into, out_of = _affine(self._input), _affine(self._output)
        outputs = []
        for done, image in enumerate(images, start=1):
            tensor = image if into is None else into.quantize(image)
            self._interpreter.set_tensor(self._input["index"], tensor[np.newaxis])
            self._interpreter.invoke()
            output = self._interpreter.get_tensor(self._output["index"])[0]
            outputs.append(output if out_of is None else out_of.dequantize(output))
            on_image(done)
        return np.stack(outputs)


def _affine(details: dict[str, Any]) -> Affine | None:
    if details["dtype"] != np.int8:
        return None
    scale, zero_point = details["quantization"]
    return Affine(float(scale), int(zero_point))
