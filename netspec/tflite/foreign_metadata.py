"""What the standard metadata of TensorFlow Lite say of a classifier, whoever wrote them.

Source of the format: as in `classifier_metadata`.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from flatbuffers import number_types
from flatbuffers.table import Table

from netspec.errors import UnreadableModel
from netspec.tflite.classifier_metadata import (
    BUFFER,
    IDENTIFIER,
    NORMALIZATION_OPTIONS,
    TENSOR_AXIS_LABELS,
)
from netspec.tflite.contents import metadata_of

_COLOURS = 3
#: of a packed file of labels, bytes
_MOST_LABELS = 2**22


@dataclass(frozen=True)
class ToldInput:
    """How a file says that images become what its input stands for: (pixel - mean) / std."""

    #: of pixels in 0..255, for R, G, B
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def told_input(file: bytes) -> ToldInput | None:
    """How images are normalised for a file's first input; None: it does not say.

    Raises:
        UnreadableModel: its standard metadata are damaged, or normalise as no image can be.
        EncodingError: the bytes are no `.tflite` file.
    """
    content = metadata_of(file, BUFFER)
    if content is None:
        return None
    try:
        said = _normalisation(content)
    except _DAMAGES as error:
        raise _damaged(error) from error
    if said is None:
        return None
    mean, std = (tuple(part * _COLOURS if len(part) == 1 else part) for part in said)
    if len(mean) != _COLOURS or len(std) != _COLOURS or not all(one > 0 for one in std):
        raise UnreadableModel(
            f"the model's metadata normalise images by the mean {list(mean)} and the deviation "
            f"{list(std)}; expected one number or three of each, deviations above 0"
        )
    return ToldInput((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


def packed_labels(file: bytes) -> tuple[str, ...] | None:
    """The labels of a file's first output, from the archive behind the model; None: it has none.

    Raises:
        UnreadableModel: its metadata or the archive are damaged.
        EncodingError: the bytes are no `.tflite` file.
    """
    content = metadata_of(file, BUFFER)
    if content is None:
        return None
    try:
        name = _label_file(content)
        if name is None:
            return None
        with zipfile.ZipFile(io.BytesIO(file)) as archive, archive.open(name) as packed:
            text = packed.read(_MOST_LABELS + 1)
    except _DAMAGES as error:
        raise _damaged(error) from error
    if len(text) > _MOST_LABELS:
        raise UnreadableModel(f"{name} in the model is beyond {_MOST_LABELS >> 20} MiB of labels")
    return tuple(text.decode(errors="replace").splitlines())


#: what reading such bytes raises where they are none, and what an archive raises: a RuntimeError
#: where it is encrypted, or compressed in a way that zipfile does not know
_DAMAGES = (
    struct.error,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    KeyError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def _damaged(error: Exception) -> UnreadableModel:
    return UnreadableModel(
        f"the model's metadata {BUFFER} cannot be read ({type(error).__name__}: {error}); write "
        "them again"
    )


def _normalisation(content: bytes) -> tuple[list[float], list[float]] | None:
    for tensor in _first_tensor(content, 2):
        for unit in tensor.tables(4):
            if unit.byte(0) == NORMALIZATION_OPTIONS:
                options = unit.table(1)
                return options.floats(0), options.floats(1)
    return None


def _label_file(content: bytes) -> str | None:
    for tensor in _first_tensor(content, 3):
        for file in tensor.tables(6):
            if file.byte(2) == TENSOR_AXIS_LABELS:
                return file.text(0)
    return None


def _first_tensor(content: bytes, slot: int) -> Iterator[_Reader]:
    """What is said of the first input (slot 2) or output (3) of the first graph, if anything."""
    if content[4:8] != IDENTIFIER:
        raise ValueError(f"the identifier is not {IDENTIFIER.decode()}")
    root = Table(content, int.from_bytes(content[:4], "little"))
    for graph in list(_Reader(root).tables(3))[:1]:
        yield from list(graph.tables(slot))[:1]


class _Reader:
    """A table of a flatbuffer, read by the numbers of its fields."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def _offset(self, slot: int) -> int:
        return int(self._table.Offset(4 + 2 * slot))

    def byte(self, slot: int) -> int:
        offset = self._offset(slot)
        flags = number_types.Uint8Flags
        return int(self._table.Get(flags, self._table.Pos + offset)) if offset else 0

    def text(self, slot: int) -> str:
        offset = self._offset(slot)
        if not offset:
            raise ValueError(f"field {slot} is missing")
        return bytes(self._table.String(self._table.Pos + offset)).decode()

    def table(self, slot: int) -> _Reader:
        offset = self._offset(slot)
        if not offset:
            raise ValueError(f"field {slot} is missing")
        return _Reader(Table(self._table.Bytes, self._table.Indirect(self._table.Pos + offset)))

    def tables(self, slot: int) -> Iterator[_Reader]:
        start, count = self._vector(slot)
        for index in range(count):
            yield _Reader(Table(self._table.Bytes, self._table.Indirect(start + 4 * index)))

    def floats(self, slot: int) -> list[float]:
        start, count = self._vector(slot)
        flags = number_types.Float32Flags
        return [float(self._table.Get(flags, start + 4 * index)) for index in range(count)]

    def _vector(self, slot: int) -> tuple[int, int]:
        offset = self._offset(slot)
        if not offset:
            return 0, 0
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        if start + 4 * count > len(self._table.Bytes):
            raise ValueError(f"field {slot} ends beyond the buffer")
        return int(start), int(count)
