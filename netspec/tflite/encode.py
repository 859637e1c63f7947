"""A chain of operators with its parameters as a `.tflite` file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from netspec.errors import EncodingError
from netspec.layers import (
    INPUT,
    ActivationRange,
    Float32Array,
    Layer,
    Parameters,
    layer_name,
    walk,
)
from netspec.operators import Convert, Operator, Precision
from netspec.quantization import (
    FIXED_RANGES,
    GATE_RANGE,
    INT8_MAX,
    INT8_MIN,
    INT16_MAX,
    WIDE_FIXED_RANGES,
    Affine,
    affine_of,
    keeps_scale,
    parameter_scales,
    quantize_bias,
    quantize_weight,
    weight_scales,
    wide_affine_of,
    wide_bias,
)
from netspec.tflite.builtins import (
    DEQUANTIZE,
    DEQUANTIZE_HALF,
    DEQUANTIZE_WIDE,
    QUANTIZE,
    QUANTIZE_WIDE,
    Arithmetic,
    Builtin,
    addition,
    builtin_of,
    multiplication,
    reshape,
    transposition,
)
from netspec.tflite.check import check_chain, check_size, checked_range, checked_weights
from netspec.tflite.graph import Constant, Graph
from netspec.tflite.runtimes import BUFFER, RuntimeVersion, least_runtime
from netspec.tflite.seeded_weights import seeded_parameters


@dataclass(frozen=True)
class FileOptions:
    """What a deployed file may have that a measured operator has not."""

    #: codes that an int8 file takes and gives; uint8 costs two conversions at each end
    codes: Literal["int8", "uint8"] = "int8"
    #: keep float32 weights as float16, expanded when the file is loaded
    half_weights: bool = False
    #: activations of an int8 network have int16 codes (16x8); such a file takes and gives float32
    wide: bool = False
    #: weights of a float32 network have int8 codes, and the runtime rounds what they are multiplied
    #: with as it goes (dynamic range)
    int8_weights: bool = False
    #: one scale for the whole weight of a fully connected layer in int8, in place of one a channel
    tensor_scales: bool = False
    #: what a float32 file does to its input first: times a gain plus an offset, by channel
    input_affine: tuple[Sequence[float], Sequence[float]] | None = None
    #: buffers by name
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    #: a signature, and the least version of the runtime among the metadata
    signed: bool = False
    #: the oldest runtime that is to run the file; None: any may be too old
    runtime: RuntimeVersion | None = None


PLAIN = FileOptions()


def encode(
    operators: Sequence[Operator],
    parameters: Parameters | None = None,
    *,
    seed: int = 0,
    options: FileOptions = PLAIN,
) -> bytes:
    """A chain of operators as one `.tflite` file, the same bytes for the same arguments.

    The input tensor is [1, H, W, C], the output too ([1, classes] after a classifier), in the
    precision of the first and last operators. int8: weights and biases symmetric per output
    channel, activations affine per tensor, as in the TensorFlow Lite 8-bit quantization
    specification. Precisions may change where a `Convert` stands.

    Args:
        operators: a network's operators, or one alone.
        parameters: weights, and for int8 the ranges of all activations.
        seed: for `seeded_parameters`, where no parameters are given.
        options: of deployed files; measured operators have none.

    Raises:
        EncodingError: operators that form no chain, precisions that differ, or a layer whose
            weights or range are missing, of a wrong shape or not finite; more weights than
            a file can hold; or options that the precision does not have.
    """
    check_chain(operators)
    check_size(operators)
    _check_options(operators, options)
    held = parameters or seeded_parameters(operators, seed)
    return _Encoding(Graph(), held, options).run(operators)


def _check_options(operators: Sequence[Operator], options: FileOptions) -> None:
    """See that a network has what the options change.

    Raises:
        EncodingError: it has not; the message says which network has.
    """
    int8 = any(one.precision == "int8" for one in operators)
    if options.wide and not int8:
        raise EncodingError("int16 activations are of int8 networks, and this one is float32")
    if options.wide and options.codes == "uint8":
        raise EncodingError("a file with int16 activations takes and gives float32, not uint8")
    if options.int8_weights and int8:
        raise EncodingError("a network that is int8 has int8 weights anyway; encode it in float32")


@dataclass(frozen=True)
class _Tensor:
    """An activation: its index in the graph and what the layers after it need to know."""

    index: int
    shape: tuple[int, ...]
    #: None for float32
    affine: Affine | None


def _entering_precision(first: Operator) -> Precision:
    if isinstance(first, Convert):
        return "float32" if first.precision == "int8" else "int8"
    return first.precision


@dataclass(frozen=True)
class _Encoding:
    graph: Graph
    parameters: Parameters
    options: FileOptions

    def run(self, operators: Sequence[Operator]) -> bytes:
        first = operators[0]
        shape = (1, first.input_size, first.input_size, first.in_channels)
        begin = self._activation(INPUT, shape, self._observed(INPUT, _entering_precision(first)))
        tensor = begin
        if self.options.wide and tensor.affine is not None:
            begin = self._activation(f"{INPUT}/real", shape, None)
            self._builtin(QUANTIZE_WIDE, [begin], tensor)
        if self.options.codes == "uint8":
            begin = self._unsigned(tensor, f"{INPUT}/uint8")
            self._recoded(INPUT, begin, tensor)
        if self.options.input_affine is not None:
            tensor = self._scaled_input(tensor, *self.options.input_affine)
        for index, operator in enumerate(operators):

            def layer_of(
                layer: Layer,
                sources: Sequence[_Tensor],
                index: int = index,
                precision: Precision = operator.precision,
            ) -> _Tensor:
                return self._layer(layer_name(index, layer), layer, precision, sources)

            tensor = walk(operator.layers, tensor, layer_of)
        end = tensor
        if self.options.codes == "uint8":
            end = self._unsigned(tensor, "output/uint8")
            self._recoded("output", tensor, end)
        if self.options.wide and tensor.affine is not None:
            end = self._activation("output/real", tensor.shape, None)
            self._builtin(DEQUANTIZE_WIDE, [tensor], end)
        return self._finish(begin.index, end.index, operators)

    def _scaled_input(self, x: _Tensor, gain: Sequence[float], offset: Sequence[float]) -> _Tensor:
        """Add a product and a sum by channel, which the first operator then reads."""
        if x.affine is not None:
            raise EncodingError(
                "only a float32 file scales its input by channel; an int8 one takes pixels"
            )
        for name, numbers, builtin in (
            ("gain", gain, multiplication("float32")),
            ("offset", offset, addition("float32", None)),
        ):
            by_channel = self._constant(f"{INPUT}/{name}", np.array(numbers, np.float32))
            output = self._activation(f"{INPUT}/after_{name}", x.shape, None)
            self._builtin(builtin, [x, by_channel], output)
            x = output
        return x

    def _finish(self, begin: int, end: int, operators: Sequence[Operator]) -> bytes:
        """Write the file, with what it says of the runtime; refuse one that is too old."""
        channel_scales = not self.options.tensor_scales and any(
            layer.kind == "dense"
            for operator in operators
            if operator.precision == "int8"
            for layer in operator.layers
        )
        metadata, wanted = dict(self.options.metadata), self.options.runtime
        if self.options.signed or wanted is not None:
            least, needs = least_runtime(self.graph.codes, channel_scales=channel_scales)
            if wanted is not None and wanted < least:
                raise EncodingError(
                    f"runtime {wanted} does not run {needs}, which {least} and later do; ask for "
                    "that one, or use other operators"
                )
            metadata[BUFFER] = least.buffer
        return self.graph.finish(begin, end, metadata, signed=self.options.signed)

    def _layer(
        self, name: str, layer: Layer, precision: Precision, sources: Sequence[_Tensor]
    ) -> _Tensor:
        """Add one layer."""
        shape, inputs = sources[0].shape, [*sources]
        arithmetic = self._arithmetic(precision, layer)
        if layer.has_weights:
            inputs += self._constants(name, layer, sources[0])
        elif layer.kind in ("mean", "global_average"):
            inputs.append(self._constant(f"{name}/axes", np.array([1, 2], np.int32)))
        elif layer.kind == "pad":
            around = np.array([(0, 0), layer.padding, layer.padding, (0, 0)], np.int32)
            inputs.append(self._constant(f"{name}/paddings", around))
        if keeps_scale(layer):
            affine = sources[0].affine
        elif precision == "int8" and layer.kind in FIXED_RANGES:
            fixed = WIDE_FIXED_RANGES if self.options.wide else FIXED_RANGES
            affine = self._affine(fixed[layer.kind])
        else:
            affine = self._observed(name, precision)
        if layer.kind == "hard_sigmoid":
            return self._hard_sigmoid(name, arithmetic, sources[0], affine)
        if layer.kind == "shuffle":
            return self._shuffle(name, arithmetic, sources[0], layer.groups)
        output = self._activation(name, _output_shape(layer, shape), affine)
        if layer.kind == "hard_swish" and precision == "int8":
            # XNNPACK has its kernel in float32 alone.
            one = self._affine(GATE_RANGE)
            gate = self._hard_sigmoid(f"{name}/gate", arithmetic, sources[0], one)
            self._builtin(multiplication(arithmetic), [sources[0], gate], output)
            return output
        builtin = builtin_of(layer, shape[1], arithmetic)
        if layer.kind == "convert" and self.options.wide and precision == "float32":
            builtin = DEQUANTIZE_WIDE
        self._builtin(builtin, inputs, output)
        return output

    def _arithmetic(self, precision: Precision, layer: Layer) -> Arithmetic:
        """What a layer of an operator computes with."""
        if precision == "int8":
            return "int16" if self.options.wide else "int8"
        return "hybrid" if self.options.int8_weights and layer.has_weights else "float32"

    def _affine(self, held: ActivationRange) -> Affine:
        """What the codes of a range mean."""
        return wide_affine_of(held) if self.options.wide else affine_of(held)

    def _hard_sigmoid(
        self, name: str, precision: Arithmetic, x: _Tensor, affine: Affine | None
    ) -> _Tensor:
        """Add relu6(x + 3) / 6, as converters write it."""
        six = None if affine is None else self._affine(ActivationRange(0.0, 6.0))
        cut = self._activation(f"{name}/relu6", x.shape, six)
        output = self._activation(name, x.shape, affine)
        three = self._number(f"{name}/three", 3.0, precision)
        sixth = self._number(f"{name}/sixth", 1 / 6, precision)
        self._builtin(addition(precision, "relu6"), [x, three], cut)
        self._builtin(multiplication(precision), [cut, sixth], output)
        return output

    def _shuffle(self, name: str, precision: Arithmetic, x: _Tensor, groups: int) -> _Tensor:
        """Add a transposition of groups and their channels, between two reshapes."""
        pixels, share = x.shape[1] * x.shape[2], x.shape[3] // groups
        split, turned = (1, pixels, groups, share), (1, pixels, share, groups)
        y = self._reshaped(f"{name}/split", precision, x, split)
        output = self._activation(f"{name}/turned", turned, x.affine)
        order = self._constant(f"{name}/order", np.array([0, 1, 3, 2], np.int32))
        self._builtin(transposition(precision), [y, order], output)
        return self._reshaped(name, precision, output, x.shape)

    def _reshaped(
        self, name: str, precision: Arithmetic, x: _Tensor, shape: tuple[int, ...]
    ) -> _Tensor:
        output = self._activation(name, shape, x.affine)
        wanted = self._constant(f"{name}/shape", np.array(shape, np.int32))
        self._builtin(reshape(precision, shape), [x, wanted], output)
        return output

    def _observed(self, name: str, precision: Precision) -> Affine | None:
        if precision == "float32":
            return None
        return self._affine(checked_range(name, self.parameters))

    def _activation(self, name: str, shape: tuple[int, ...], affine: Affine | None) -> _Tensor:
        codes: Literal["int8", "int16"] = "int16" if self.options.wide else "int8"
        return _Tensor(self.graph.add_activation(name, shape, affine, codes), shape, affine)

    def _constant(
        self, name: str, data: Constant, scales: Float32Array | None = None, axis: int = 0
    ) -> _Tensor:
        index = self.graph.add_constant(name, data, scales, axis)
        return _Tensor(index, data.shape, None)

    def _number(self, name: str, value: float, precision: Arithmetic) -> _Tensor:
        """A positive number that is added to, or multiplies, a whole tensor."""
        if precision == "float32":
            return self._constant(name, np.array([value], np.float32))
        codes = (
            np.array([INT16_MAX], np.int16) if self.options.wide else np.array([INT8_MAX], np.int8)
        )
        return self._constant(name, codes, np.array([value / int(codes[0])], np.float32))

    def _builtin(self, builtin: Builtin, inputs: Sequence[_Tensor], output: _Tensor) -> None:
        self.graph.add_operator(
            builtin.code,
            builtin.version,
            [tensor.index for tensor in inputs],
            output.index,
            builtin.options_type,
            builtin.options,
        )

    def _recoded(self, name: str, given: _Tensor, output: _Tensor) -> None:
        """Turn codes of one type into those of another: by way of float32, as XNNPACK does it."""
        real = self._activation(f"{name}/real", given.shape, None)
        self._builtin(DEQUANTIZE, [given], real)
        self._builtin(QUANTIZE, [real], output)

    def _unsigned(self, signed: _Tensor, name: str) -> _Tensor:
        """A tensor of the same reals whose codes are uint8."""
        if signed.affine is None:
            raise EncodingError(
                "only an int8 file can take and give uint8; this one begins or ends in float32: "
                "encode it as int8, or without uint8"
            )
        shifted = Affine(signed.affine.scale, signed.affine.zero_point - INT8_MIN)
        index = self.graph.add_activation(name, signed.shape, shifted, "uint8")
        return _Tensor(index, signed.shape, shifted)

    def _constants(self, name: str, layer: Layer, source: _Tensor) -> list[_Tensor]:
        """Add the layer's weight and bias."""
        given = checked_weights(name, layer, self.parameters)
        axis = layer.channel_axis
        if source.affine is None and self.options.int8_weights:
            scales = weight_scales(given.weight, axis)
            if layer.kind == "dense":
                # A scale a channel would be version 12, which few runtimes have.
                scales = scales.max(keepdims=True)
            codes = quantize_weight(given.weight, scales, axis)
            return [
                self._constant(f"{name}/weight", codes, scales, axis),
                self._constant(f"{name}/bias", given.bias),
            ]
        if source.affine is None:
            add = self._half if self.options.half_weights else self._constant
            return [add(f"{name}/weight", given.weight), add(f"{name}/bias", given.bias)]
        by_tensor = self.options.tensor_scales and layer.kind == "dense"
        scales = parameter_scales(given, axis, source.affine.scale, by_tensor=by_tensor)
        weight = quantize_weight(given.weight, scales, axis)
        round_bias = wide_bias if self.options.wide else quantize_bias
        bias = round_bias(given.bias, source.affine.scale, scales)
        if by_tensor:
            scales = scales[:1]
        return [
            self._constant(f"{name}/weight", weight, scales, axis),
            self._constant(f"{name}/bias", bias, np.float32(source.affine.scale) * scales),
        ]

    def _half(self, name: str, data: Float32Array) -> _Tensor:
        """Add a constant as float16 with the DEQUANTIZE that makes it float32."""
        with np.errstate(over="ignore"):
            half = data.astype(np.float16)
        if not np.isfinite(half).all():
            raise EncodingError(
                f"{name} has numbers beyond 65504, the greatest float16; keep float32 weights"
            )
        stored = self._constant(f"{name}/float16", half)
        expanded = self._activation(name, data.shape, None)
        self._builtin(DEQUANTIZE_HALF, [stored], expanded)
        return expanded


def _output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    if layer.is_flat:
        return (1, layer.out_channels)
    side = layer.output_side(shape[1])
    return (1, side, side, layer.out_channels)
