"""A `.tflite` file changed so that it gives what its layers give, for devices that tell no more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from netspec.tflite.file_graph import GraphTensor, file_graph
from netspec.tflite.graph import FILE_IDENTIFIER, AlignedBuffer


def layer_files(file: bytes, most_numbers: int) -> Iterator[bytes]:
    """The file, with the tensors between its operators as outputs, in order of execution.

    One file after the other, each for as many tensors as give no more numbers together; a tensor
    with more is left out. Signatures, which name the outputs that the file had, are left out, too.

    Raises:
        UnreadableModel: the bytes are no `.tflite` file of one graph.
    """
    chosen: list[GraphTensor] = []
    for tensor in _between(file):
        size = math.prod(tensor.shape)
        if size > most_numbers:
            continue
        if chosen and size + sum(math.prod(one.shape) for one in chosen) > most_numbers:
            yield _with_outputs(file, chosen)
            chosen = []
        chosen.append(tensor)
    if chosen:
        yield _with_outputs(file, chosen)


def _between(file: bytes) -> Iterator[GraphTensor]:
    for operator in file_graph(file).operators:
        yield from operator.outputs


def _with_outputs(file: bytes, tensors: Sequence[GraphTensor]) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(file, 0)
    model.subgraphs[0].outputs = [tensor.index for tensor in tensors]
    model.signatureDefs = None
    for index, buffer in enumerate(model.buffers):
        aligned = AlignedBuffer()
        if buffer.data is not None:
            aligned.data = np.asarray(buffer.data, np.uint8)
        model.buffers[index] = aligned
    builder = flatbuffers.Builder(len(file))
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())
