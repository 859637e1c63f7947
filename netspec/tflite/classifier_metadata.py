"""What a classifier's file tells apps in the standard metadata of TensorFlow Lite.

MediaPipe and the Task Library read from it how to normalise an image and what the classes are
called; the labels themselves are a file in a zip archive behind the model.
Source of the format: `metadata_schema.fbs` of MediaPipe, version 1.5.0, identifier M001.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np

from netspec.tflite.graph import INPUT_NAME, OUTPUT_NAME

#: of the metadata buffer
BUFFER = "TFLITE_METADATA"
LABEL_FILE = "labels.txt"
IDENTIFIER = b"M001"
#: the least version of the schema with all that is used here
_PARSER_VERSION = "1.0.0"
#: of unions and enumerations in the schema
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
NORMALIZATION_OPTIONS = 1
_RGB = 1
TENSOR_AXIS_LABELS = 2


@dataclass(frozen=True)
class ClassifierText:
    """What is said of a classifier of images."""

    name: str
    description: str
    #: in the order of the logits
    labels: Sequence[str]
    #: side of the image, px
    size: int
    #: of pixels in 0..255, by channel. A quantized input's codes are those of (pixel - mean) / std.
    mean: Sequence[float]
    std: Sequence[float]


def classifier_metadata(text: ClassifierText) -> bytes:
    """The metadata buffer."""
    writer = _Writer()
    normalisation = writer.table(
        {0: writer.floats(text.mean), 1: writer.floats(text.std)},
    )
    image = writer.table(
        {1: writer.table({}, numbers={0: (text.size, 4), 1: (text.size, 4)})},
        numbers={0: (_RGB, 1)},
    )
    taken = writer.table(
        {
            0: writer.text(INPUT_NAME),
            1: writer.text(f"RGB image of {text.size} x {text.size} px"),
            3: writer.table({1: image}, numbers={0: (_IMAGE_PROPERTIES, 1)}),
            4: writer.tables(
                [writer.table({1: normalisation}, numbers={0: (NORMALIZATION_OPTIONS, 1)})]
            ),
        }
    )
    labels = writer.table(
        {0: writer.text(LABEL_FILE), 1: writer.text("a class a line, in the order of the logits")},
        numbers={2: (TENSOR_AXIS_LABELS, 1)},
    )
    features = writer.table({1: writer.table({})}, numbers={0: (_FEATURE_PROPERTIES, 1)})
    given = writer.table(
        {
            0: writer.text(OUTPUT_NAME),
            1: writer.text("a logit a class; softmax makes shares of them"),
            3: features,
            6: writer.tables([labels]),
        }
    )
    graph = writer.table({2: writer.tables([taken]), 3: writer.tables([given])})
    model = writer.table(
        {
            0: writer.text(text.name),
            1: writer.text(text.description),
            3: writer.tables([graph]),
            7: writer.text(_PARSER_VERSION),
        }
    )
    return writer.finish(model)


def with_labels(model: bytes, labels: Sequence[str]) -> bytes:
    """A `.tflite` file with its labels packed behind it, the same bytes for the same labels."""
    packed = io.BytesIO(model)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(
            zipfile.ZipInfo(LABEL_FILE), "".join(f"{label}\n" for label in labels).encode()
        )
    return packed.getvalue()


class _Writer:
    """Tables of a flatbuffer by the numbers of their fields, innermost first."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return int(self._builder.CreateString(value))

    def floats(self, values: Sequence[float]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.float32)))

    def tables(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def table(
        self, offsets: Mapping[int, int], *, numbers: Mapping[int, tuple[int, int]] | None = None
    ) -> int:
        """A table of references, and of numbers with their sizes in bytes, by field."""
        held = numbers or {}
        self._builder.StartObject(max((*offsets, *held), default=-1) + 1)
        for slot, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, (value, size) in held.items():
            put = self._builder.PrependUint32Slot if size > 1 else self._builder.PrependUint8Slot
            put(slot, value, 0)
        return int(self._builder.EndObject())

    def finish(self, root: int) -> bytes:
        self._builder.Finish(root, IDENTIFIER)
        return bytes(self._builder.Output())
