"""What stands in a `.tflite` file, read back: metadata, operators, types of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from netspec.errors import EncodingError
from netspec.tflite.graph import FILE_IDENTIFIER

_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}
_TYPES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


@dataclass(frozen=True)
class FileTensor:
    """One tensor: its type as the schema names it, its shape, and whether it is constant."""

    type: str
    shape: tuple[int, ...]
    constant: bool


@dataclass(frozen=True)
class FileOperator:
    """One operator in order of execution, with what decides how long it takes."""

    #: the schema's name, for instance `CONV_2D`
    name: str
    version: int
    #: fields of its options, sorted
    options: tuple[tuple[str, int | float | bool | None], ...]
    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]


def metadata_of(file: bytes, name: str) -> bytes | None:
    """The metadata buffer of that name, None where there is none.

    Raises:
        EncodingError: the bytes are no `.tflite` file.
    """
    model = _model(file)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == name.encode():
            buffer = model.Buffers(entry.Buffer())
            return bytes(buffer.DataAsNumpy().tobytes()) if buffer.DataLength() else b""
    return None


def operators_of(file: bytes) -> tuple[FileOperator, ...]:
    """The operators of the file's graph, in order.

    Raises:
        EncodingError: the bytes are no `.tflite` file.
    """
    model = _model(file)
    graph = model.Subgraphs(0)
    tensors = tuple(_tensors(model, graph))
    return tuple(_operator(model, graph.Operators(i), tensors) for i in range(_count(graph)))


def _count(graph: Any) -> int:
    return int(graph.OperatorsLength())


def _model(file: bytes) -> Any:
    if file[4:8] != FILE_IDENTIFIER:
        raise EncodingError(
            "the bytes are no .tflite model: the identifier TFL3 is missing; give a file that "
            "an export wrote"
        )
    return schema.Model.GetRootAs(file, 0)


def _tensors(model: Any, graph: Any) -> Iterator[FileTensor]:
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        yield FileTensor(
            type=_TYPES[tensor.Type()],
            shape=tuple(int(side) for side in tensor.ShapeAsNumpy())
            if tensor.ShapeLength()
            else (),
            constant=model.Buffers(tensor.Buffer()).DataLength() > 0,
        )


def _operator(model: Any, operator: Any, tensors: tuple[FileTensor, ...]) -> FileOperator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    options = schema.OperatorT.InitFromObj(operator).builtinOptions
    fields = {} if options is None else vars(options)
    return FileOperator(
        name=_NAMES[code.BuiltinCode()],
        version=code.Version(),
        options=tuple(sorted(fields.items())),
        inputs=tuple(tensors[index] for index in operator.InputsAsNumpy()),
        outputs=tuple(tensors[index] for index in operator.OutputsAsNumpy()),
    )
