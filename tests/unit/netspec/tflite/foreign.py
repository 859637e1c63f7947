"""Small `.tflite` files as converters of others write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from netspec.quantization import Affine
from netspec.tflite.graph import Graph

CODES, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
NONE, RELU, RELU6, TANH = 0, 1, 3, 4
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
SOME = Affine(0.1, 0)


class Foreign:
    """A graph under construction; `x` is what the last operator gave."""

    def __init__(self, side: int = 8, channels: int = 4, *, int8: bool = False) -> None:
        self.graph = Graph()
        self.int8 = int8
        self.x = self.begin = self.tensor((1, side, side, channels))

    def tensor(self, shape: Sequence[int], *, int8: bool | None = None) -> int:
        coded = self.int8 if int8 is None else int8
        return self.graph.add_activation("t", shape, SOME if coded else None)

    def constant(self, values: Any, dtype: Any = np.float32) -> int:
        return self.graph.add_constant("c", np.asarray(values, dtype))

    def weight(self, shape: Sequence[int], *, int8: bool | None = None) -> int:
        coded = self.int8 if int8 is None else int8
        return self.constant(np.ones(shape), np.int8 if coded else np.float32)

    def run(
        self,
        code: int,
        inputs: Sequence[int],
        shape: Sequence[int],
        options_type: int = 0,
        options: Any = None,
        *,
        int8: bool | None = None,
    ) -> int:
        self.x = self.tensor(shape, int8=int8)
        self.graph.add_operator(code, 1, inputs, self.x, options_type, options)
        return self.x

    def conv(
        self,
        x: int,
        shape: Sequence[int],
        weight: Sequence[int],
        *,
        stride: int = 1,
        padding: int = SAME,
        fused: int = NONE,
        dilation: int = 1,
    ) -> int:
        options = schema.Conv2DOptionsT(padding, stride, stride, fused, dilation, dilation)
        inputs = [x, self.weight(weight)]
        return self.run(CODES.CONV_2D, inputs, shape, OPTIONS.Conv2DOptions, options)

    def depthwise(
        self, x: int, shape: Sequence[int], kernel: int, *, stride: int = 1, padding: int = SAME
    ) -> int:
        options = schema.DepthwiseConv2DOptionsT(padding, stride, stride, 1, NONE)
        inputs = [x, self.weight((1, kernel, kernel, shape[-1]))]
        kind = OPTIONS.DepthwiseConv2DOptions
        return self.run(CODES.DEPTHWISE_CONV_2D, inputs, shape, kind, options)

    def pad(self, x: int, shape: Sequence[int], before: int, after: int) -> int:
        around = self.constant([(0, 0), (before, after), (before, after), (0, 0)], np.int32)
        return self.run(CODES.PAD, [x, around], shape, OPTIONS.PadOptions, schema.PadOptionsT())

    def add(self, x: int, other: int, shape: Sequence[int], fused: int = NONE) -> int:
        return self.run(CODES.ADD, [x, other], shape, OPTIONS.AddOptions, schema.AddOptionsT(fused))

    def multiply(self, x: int, other: int, shape: Sequence[int], fused: int = NONE) -> int:
        return self.run(CODES.MUL, [x, other], shape, OPTIONS.MulOptions, schema.MulOptionsT(fused))

    def mean(self, x: int, shape: Sequence[int], axes: Sequence[int] = (1, 2)) -> int:
        kept = schema.ReducerOptionsT(keepDims=len(shape) == 4)
        inputs = [x, self.constant(axes, np.int32)]
        return self.run(CODES.MEAN, inputs, shape, OPTIONS.ReducerOptions, kept)

    def dense(self, x: int, shape: Sequence[int], inputs: int) -> int:
        options = schema.FullyConnectedOptionsT(NONE)
        given = [x, self.weight((shape[-1], inputs))]
        kind = OPTIONS.FullyConnectedOptions
        return self.run(CODES.FULLY_CONNECTED, given, shape, kind, options)

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        inputs = [x, self.constant(shape, np.int32)]
        return self.run(
            CODES.RESHAPE, inputs, shape, OPTIONS.ReshapeOptions, schema.ReshapeOptionsT()
        )

    def file(self) -> bytes:
        return self.graph.finish(self.begin, self.x)
