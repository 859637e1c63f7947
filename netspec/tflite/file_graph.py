"""The graph of a `.tflite` file from anywhere: tensors and operators, every offset checked."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from netspec.errors import UnreadableModel
from netspec.tflite.graph import FILE_IDENTIFIER

#: operators of one graph; those of today's networks are hundreds
MOST_OPERATORS = 4_096
#: numbers of a constant that is read, such as paddings and axes; weights are not
MOST_NUMBERS = 64

_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}
_TYPES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_DTYPES = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT32": "<i4", "INT64": "<i8", "INT8": "<i1"}
#: what flatbuffers and numpy raise where an offset leads out of the file
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError, KeyError)


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of the graph."""

    index: int
    #: as the schema names it
    type: str
    #: as the file gives it; -1 where a side is not known before it runs
    shape: tuple[int, ...]
    #: bytes of a constant, None where an operator or the caller gives the values
    data: bytes | None
    #: of the first channel
    scale: float
    zero_point: int

    @property
    def numbers(self) -> npt.NDArray[np.float64] | None:
        """The few numbers of a small constant, as reals; None where there are more, or none."""
        dtype = _DTYPES.get(self.type)
        if self.data is None or dtype is None or len(self.data) > 8 * MOST_NUMBERS:
            return None
        if len(self.data) % np.dtype(dtype).itemsize:
            return None
        stored = np.frombuffer(self.data, dtype).astype(np.float64)
        return (stored - self.zero_point) * self.scale if self.type == "INT8" else stored


@dataclass(frozen=True)
class GraphOperator:
    """An operator of the graph, in order of execution."""

    index: int
    #: as the schema names it, for instance `CONV_2D`; a custom one's own name
    name: str
    #: of the schema's object API, None where it has none
    options: Any
    #: None where an optional input is left out
    inputs: tuple[GraphTensor | None, ...]
    outputs: tuple[GraphTensor, ...]

    @property
    def place(self) -> str:
        """For messages."""
        return f"operator {self.index} ({self.name})"


@dataclass(frozen=True)
class FileGraph:
    """The one graph of a file."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    operators: tuple[GraphOperator, ...]


def file_graph(file: bytes) -> FileGraph:
    """The graph of a `.tflite` file.

    Raises:
        UnreadableModel: the bytes are no such file, end too early, or hold more than one graph
            or too many operators.
    """
    if file[4:8] != FILE_IDENTIFIER:
        raise UnreadableModel(
            f"bytes 4 to 8 are {file[4:8]!r}, expected {FILE_IDENTIFIER!r}: this is no .tflite "
            "file; convert the model to LiteRT first"
        )
    try:
        return _Reader(schema.Model.GetRootAs(file, 0), len(file)).graph()
    except _DAMAGE as error:
        raise UnreadableModel(
            f"the file of {len(file)} bytes is cut off or damaged: an offset leads out of it "
            f"({error}); copy or convert it again"
        ) from error


@dataclass(frozen=True)
class _Reader:
    model: Any
    length: int

    def graph(self) -> FileGraph:
        count = self.model.SubgraphsLength()
        if count != 1:
            raise UnreadableModel(
                f"the file holds {count} graphs, expected one; export one signature without "
                "control flow"
            )
        operators = self._subgraph.OperatorsLength()
        if operators > MOST_OPERATORS:
            raise UnreadableModel(
                f"the graph has {operators} operators, at most {MOST_OPERATORS} are read"
            )
        for index in range(self.model.BuffersLength()):
            buffer = self.model.Buffers(index)
            if length := buffer.DataLength():
                # Reads the last byte, which a file that was cut off does not have.
                buffer.Data(length - 1)
        return FileGraph(
            inputs=self._of(self._subgraph.InputsAsNumpy()),
            outputs=self._of(self._subgraph.OutputsAsNumpy()),
            operators=tuple(self._operator(index) for index in range(operators)),
        )

    @cached_property
    def _subgraph(self) -> Any:
        return self.model.Subgraphs(0)

    @cached_property
    def _tensors(self) -> tuple[GraphTensor, ...]:
        return tuple(self._tensor(at) for at in range(self._subgraph.TensorsLength()))

    def _of(self, indices: Sequence[int] | int) -> tuple[GraphTensor, ...]:
        # The schema's accessor gives 0 in the place of an empty vector.
        return () if isinstance(indices, int) else tuple(self._at(int(one)) for one in indices)

    def _at(self, index: int) -> GraphTensor:
        if index < 0:
            raise IndexError(f"tensor {index}")
        return self._tensors[index]

    def _tensor(self, index: int) -> GraphTensor:
        tensor = self._subgraph.Tensors(index)
        sides = [int(side) for side in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else []
        if tensor.ShapeSignatureLength() == len(sides) > 0:
            # A batch of any size runs as the one that the file states.
            sides[1:] = [int(side) for side in tensor.ShapeSignatureAsNumpy()[1:]]
        quantization = tensor.Quantization()
        scaled = quantization is not None and quantization.ScaleLength()
        return GraphTensor(
            index=index,
            type=_TYPES[tensor.Type()],
            shape=tuple(sides),
            data=self._data(tensor.Buffer()),
            scale=float(quantization.Scale(0)) if scaled else 1.0,
            zero_point=int(quantization.ZeroPoint(0))
            if scaled and quantization.ZeroPointLength()
            else 0,
        )

    def _data(self, index: int) -> bytes | None:
        buffer = self.model.Buffers(index)
        if buffer.DataLength():
            few = buffer.DataLength() <= 8 * MOST_NUMBERS
            return bytes(buffer.DataAsNumpy().tobytes()) if few else b"\0" * (8 * MOST_NUMBERS + 1)
        # Of files beyond 2 GiB the data lie behind the tables.
        return b"\0" * (8 * MOST_NUMBERS + 1) if buffer.Size() > 1 else None

    def _operator(self, index: int) -> GraphOperator:
        operator = self._subgraph.Operators(index)
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        # Files from before 2020 have only the deprecated byte.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _NAMES.get(builtin, f"builtin {builtin}")
        if name == "CUSTOM":
            name = (code.CustomCode() or b"custom").decode(errors="replace")
        inputs = operator.InputsAsNumpy()
        return GraphOperator(
            index=index,
            name=name,
            options=schema.OperatorT.InitFromObj(operator).builtinOptions,
            inputs=()
            if isinstance(inputs, int)
            else tuple(None if one == -1 else self._at(int(one)) for one in inputs),
            outputs=self._of(operator.OutputsAsNumpy()),
        )
