"""Models on disk."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from netspec.operators import MBConv, Precision
from netspec.tflite import encode
from netspec.tflite.graph import FILE_IDENTIFIER, Graph


def block(channels: int = 8, precision: Precision = "float32", size: int = 8) -> MBConv:
    return MBConv(
        input_size=size,
        in_channels=channels,
        out_channels=channels,
        expand=3,
        residual=True,
        precision=precision,
    )


def block_file(folder: Path, precision: Precision = "float32", *, size: int = 8) -> Path:
    path = folder / f"block-{size}-{precision}.tflite"
    path.write_bytes(encode([block(precision=precision, size=size)]))
    return path


def undelegated_bytes(*, partly: bool) -> bytes:
    """An operator that XNNPACK leaves to the built-in kernels; `partly`: after an addition."""
    graph = Graph()
    shape = (1, 1, 1, 4)
    operators, options = schema.BuiltinOperator, schema.BuiltinOptions
    begin = graph.add_activation("begin", shape, None)
    source = begin
    if partly:
        one = graph.add_constant("one", np.ones(shape, np.float32))
        source = graph.add_activation("sum", shape, None)
        graph.add_operator(
            operators.ADD, 1, [begin, one], source, options.AddOptions, schema.AddOptionsT()
        )
    end = graph.add_activation("end", shape, None)
    graph.add_operator(
        operators.LOCAL_RESPONSE_NORMALIZATION,
        1,
        [source],
        end,
        options.LocalResponseNormalizationOptions,
        schema.LocalResponseNormalizationOptionsT(radius=1, bias=1.0, alpha=1.0, beta=0.5),
    )
    return graph.finish(begin, end)


def two_inputs_and_outputs() -> bytes:
    """Two additions, of which both sums are given out."""
    graph = Graph()
    shape = (1, 8, 8, 4)
    names = ("first", "second", "sum", "end")
    first, second, total, end = (graph.add_activation(name, shape, None) for name in names)
    for inputs, output in (([first, second], total), ([total, first], end)):
        graph.add_operator(
            schema.BuiltinOperator.ADD,
            1,
            inputs,
            output,
            schema.BuiltinOptions.AddOptions,
            schema.AddOptionsT(),
        )
    model = schema.ModelT.InitFromPackedBuf(graph.finish(first, end))
    model.subgraphs[0].inputs, model.subgraphs[0].outputs = [first, second], [total, end]
    builder = flatbuffers.Builder(1 << 10)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())
