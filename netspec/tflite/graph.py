"""A thin builder around the TensorFlow Lite flatbuffer's object API.

Source of the format: `schema.fbs` of TensorFlow Lite, schema version 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from netspec.layers import Float32Array
from netspec.quantization import Affine

#: version of `schema.fbs`
SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
#: `force_align` of `Buffer.data` in the schema, bytes; the object API does not apply it
BUFFER_ALIGNMENT = 16
#: TensorFlow's usual name of what a model serves
SIGNATURE = "serving_default"
INPUT_NAME, OUTPUT_NAME = "image", "logits"

_TENSOR_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int8): schema.TensorType.INT8,
}
#: of activations
_CODED_TYPES = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
}
Constant = Float32Array | npt.NDArray[np.float16] | npt.NDArray[np.integer[Any]]


class Graph:
    """One subgraph under construction; tensors are known by their index."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[tuple[int, int]] = []
        # Buffer 0 is the schema's empty buffer, which all tensors without constant data share.
        self._buffers: list[Any] = [AlignedBuffer()]

    def add_activation(
        self,
        name: str,
        shape: Sequence[int],
        affine: Affine | None,
        codes: Literal["int8", "uint8", "int16"] = "int8",
    ) -> int:
        """Add a tensor that the runtime fills: of such codes, float32 where `affine` is None."""
        quantization = None
        if affine is not None:
            quantization = _quantization(
                np.array([affine.scale], np.float32), np.array([affine.zero_point], np.int64)
            )
        kind = schema.TensorType.FLOAT32 if affine is None else _CODED_TYPES[codes]
        return self._add_tensor(name, shape, kind, 0, quantization)

    def add_constant(
        self,
        name: str,
        data: Constant,
        scales: Float32Array | None = None,
        channel_axis: int = 0,
    ) -> int:
        """Add a constant tensor; `scales` quantize it symmetrically along `channel_axis`."""
        quantization = None
        if scales is not None:
            quantization = _quantization(scales, np.zeros(scales.size, np.int64), channel_axis)
        self._buffers.append(AlignedBuffer(_little_endian_bytes(data)))
        kind = _TENSOR_TYPES[data.dtype]
        return self._add_tensor(name, data.shape, kind, len(self._buffers) - 1, quantization)

    def add_operator(
        self,
        code: int,
        version: int,
        inputs: Sequence[int],
        output: int,
        options_type: int,
        options: Any,
    ) -> None:
        """Add a builtin operator in its given version, with its options of the schema."""
        if (code, version) not in self._codes:
            self._codes.append((code, version))
        self._operators.append(
            schema.OperatorT(
                opcodeIndex=self._codes.index((code, version)),
                inputs=list(inputs),
                outputs=[output],
                builtinOptionsType=options_type,
                builtinOptions=options,
            )
        )

    @property
    def codes(self) -> tuple[tuple[int, int], ...]:
        """Builtin operators in use, each with its version."""
        return tuple(self._codes)

    def finish(
        self,
        graph_input: int,
        graph_output: int,
        metadata: Mapping[str, bytes] | None = None,
        *,
        signed: bool = False,
    ) -> bytes:
        """The `.tflite` file of the graph.

        Args:
            graph_input: a tensor's index.
            graph_output: another one's.
            metadata: buffers by name.
            signed: whether input and output get names that callers go by, `INPUT_NAME` and
                `OUTPUT_NAME`, in a signature `SIGNATURE`.
        """
        notes = []
        for name, content in (metadata or {}).items():
            self._buffers.append(AlignedBuffer(np.frombuffer(content, np.uint8)))
            notes.append(schema.MetadataT(name=name, buffer=len(self._buffers) - 1))
        subgraph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=[graph_input],
            outputs=[graph_output],
            operators=self._operators,
            name="main",
        )
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            operatorCodes=[
                # Runtimes from before 2020 read only the deprecated byte.
                schema.OperatorCodeT(deprecatedBuiltinCode=code, version=version, builtinCode=code)
                for code, version in self._codes
            ],
            subgraphs=[subgraph],
            description="netspec",
            buffers=self._buffers,
            metadata=notes or None,
            signatureDefs=[_signature(graph_input, graph_output)] if signed else None,
        )
        # Room for the constants from the start: the builder grows by copying.
        constants = sum(buffer.data.size for buffer in self._buffers if buffer.data is not None)
        builder = flatbuffers.Builder(constants + (1 << 16))
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(memoryview(builder.Bytes)[builder.Head() :])

    def _add_tensor(
        self, name: str, shape: Sequence[int], kind: int, buffer: int, quantization: Any
    ) -> int:
        self._tensors.append(
            schema.TensorT(
                shape=list(shape),
                type=kind,
                buffer=buffer,
                name=name,
                quantization=quantization,
                hasRank=True,
            )
        )
        return len(self._tensors) - 1


class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data starts at a multiple of 16 bytes of the file."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (overrides the schema's)
        """Write it; where to is what the builder returned."""
        data = None
        if self.data is not None:
            # Written in place: `CreateNumpyVector` would hold three more copies of the weights.
            builder.StartVector(1, self.data.size, BUFFER_ALIGNMENT)
            end = builder.head
            builder.head = end - self.data.size
            memoryview(builder.Bytes)[builder.head : end] = memoryview(self.data)
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


def _signature(graph_input: int, graph_output: int) -> Any:
    return schema.SignatureDefT(
        inputs=[schema.TensorMapT(INPUT_NAME, graph_input)],
        outputs=[schema.TensorMapT(OUTPUT_NAME, graph_output)],
        signatureKey=SIGNATURE,
        subgraphIndex=0,
    )


def _little_endian_bytes(data: Constant) -> npt.NDArray[np.uint8]:
    ordered = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<"))
    return ordered.reshape(-1).view(np.uint8)


def _quantization(
    scales: Float32Array, zero_points: npt.NDArray[np.int64], channel_axis: int = 0
) -> Any:
    return schema.QuantizationParametersT(
        scale=scales, zeroPoint=zero_points, quantizedDimension=channel_axis
    )
