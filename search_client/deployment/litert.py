"""A `.tflite` classifier run on this machine by LiteRT, image after image."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from netspec.delegation import undelegated
from netspec.errors import UserError
from netspec.layers import Float32Array
from netspec.quantization import INT8_MIN, Affine
from search_client.deployment.metadata import Preparation, preparation_in
from search_client.deployment.native_messages import without_info
from search_client.networks.normalisation import Normalisation
from search_client.quantization.pixels import PIXEL_MAX, USUAL

Pixels = npt.NDArray[np.uint8]

#: `reference`: one plain loop an operator; `builtin`: the runtime's own kernels; `xnnpack`: what
#: deployment uses, by delegation
Kernels = Literal["reference", "builtin", "xnnpack"]
RESOLVERS: dict[Kernels, OpResolverType] = {
    "reference": OpResolverType.BUILTIN_REF,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.AUTO,
}


class NoClassifier(UserError):
    """A file is no `.tflite` model that takes an image and gives logits."""


class TFLiteClassifier:
    """One image of pixels, one vector of logits; whatever the file's precision.

    What it is given follows from what the file says of itself. Where that is nothing it must be
    one that `encode` wrote: int8 codes are pixels less 128, uint8 codes pixels, and float32 images
    are normalised as usual.
    """

    def __init__(
        self,
        model: bytes,
        kernels: Kernels = "xnnpack",
        *,
        keep_layers: bool = False,
        normalisation: Normalisation | None = None,
    ) -> None:
        """Load a file.

        Args:
            model: the file.
            kernels: what runs it.
            keep_layers: whether the numbers between layers are kept.
            normalisation: of images, in place of what the file says.

        Raises:
            NoClassifier: LiteRT cannot load it, or it takes no image.
            BadMetadata: what it says of itself cannot be read.
        """
        try:
            with without_info():
                self._interpreter = Interpreter(
                    model_content=model,
                    num_threads=1,
                    experimental_op_resolver_type=RESOLVERS[kernels],
                    experimental_preserve_all_tensors=keep_layers,
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise NoClassifier(
                f"LiteRT cannot load the model: {error}; expected a .tflite file"
            ) from error
        self._input = self._interpreter.get_input_details()[0]
        told = preparation_in(model) or Preparation(None if _affine(self._input) else USUAL)
        #: None: the input's codes are pixels
        self._normalisation = normalisation or told.normalisation
        self._output = self._interpreter.get_output_details()[0]
        if len(self._input["shape"]) != 4 or self._input["shape"][3] != 3:  # noqa: PLR2004
            raise NoClassifier(
                f"the model takes a tensor of shape {self._input['shape'].tolist()}; "
                "expected an image [1, H, W, 3]"
            )

    @property
    def input_size(self) -> int:
        """Side of the image that the file takes, px."""
        return int(self._input["shape"][1])

    @property
    def classes(self) -> int:
        """Number of logits."""
        return int(self._output["shape"][-1])

    @property
    def output_affine(self) -> Affine | None:
        """What the output's codes mean, None for float32."""
        return _affine(self._output)

    @property
    def output_scale(self) -> float | None:
        """Step of the output's codes, None for float32."""
        affine = self.output_affine
        return affine.scale if affine else None

    def prepared(self, images: Pixels) -> npt.NDArray[Any]:
        """The tensors that the file takes for pixels [N, H, W, 3]."""
        return np.stack([self._given(image) for image in images])

    def logits(self, images: Pixels) -> Float32Array:
        """Logits [N, classes] for pixels [N, H, W, 3], as real values."""
        outputs = np.empty((len(images), self.classes), np.float32)
        for index, image in enumerate(images):
            self._run(image)
            outputs[index] = self._real(self._output)[0]
        return outputs

    def outputs(self, image: Pixels) -> dict[str, Float32Array]:
        """Every output by its name in the file, as real values, for one image [H, W, 3]."""
        self._run(image)
        details = self._interpreter.get_output_details()
        return {one["name"]: self._real(one) for one in details}

    def layers(self, image: Pixels) -> dict[str, Float32Array]:
        """Every activation by its name in the file, as real values, for one image [H, W, 3].

        Needs `keep_layers` and kernels that are not delegated.
        """
        self._run(image)
        nodes = self._interpreter._get_ops_details()  # noqa: SLF001 (the only place that tells)
        produced = {tensor for node in nodes for tensor in node["outputs"]}
        return {
            details["name"]: self._real(details)
            for details in self._interpreter.get_tensor_details()
            if details["index"] in produced
        }

    def undelegated(self) -> tuple[int, list[tuple[str, str]]]:
        """Return the number of operators, and kind and output's name of those not delegated."""
        operators, left = undelegated(self._interpreter)
        names = {one["index"]: one["name"] for one in self._interpreter.get_tensor_details()}
        return operators, [(kind, names[tensor]) for kind, tensor in left]

    def _run(self, image: Pixels) -> None:
        self._interpreter.set_tensor(self._input["index"], self._given(image)[np.newaxis])
        self._interpreter.invoke()

    def _given(self, image: Pixels) -> npt.NDArray[Any]:
        coded, unsigned = _affine(self._input), self._input["dtype"] == np.uint8
        if self._normalisation is None:
            codes = (image.astype(np.int16) + INT8_MIN).astype(np.int8)
        else:
            mean = np.array(self._normalisation.mean, np.float32)
            std = np.array(self._normalisation.std, np.float32)
            real: Float32Array = (image.astype(np.float32) / np.float32(PIXEL_MAX) - mean) / std
            if coded is None:
                return real
            shift = INT8_MIN if unsigned else 0
            codes = Affine(coded.scale, coded.zero_point + shift).quantize(real)
        return (codes.astype(np.int16) - INT8_MIN).astype(np.uint8) if unsigned else codes

    def _real(self, details: dict[str, Any]) -> Float32Array:
        values: npt.NDArray[Any] = self._interpreter.get_tensor(details["index"])
        affine = _affine(details)
        return np.asarray(values, np.float32) if affine is None else affine.dequantize(values)


def _affine(details: dict[str, Any]) -> Affine | None:
    if details["dtype"] not in (np.int8, np.uint8, np.int16):
        return None
    scale, zero_point = details["quantization"]
    return Affine(float(scale), int(zero_point))
