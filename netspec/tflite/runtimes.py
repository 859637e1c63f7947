"""The least version of the TensorFlow Lite runtime that runs a file.

Source: `runtime_version.cc` of TensorFlow Lite. Not there: fully connected layers in int8 with a
scale a channel have the version of those with one scale, yet runtimes before 2.10 take the first
channel's scale for all of them and give wrong numbers in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Self

from ai_edge_litert import schema_py_generated as schema

from netspec.errors import EncodingError
from netspec.validation import FrozenModel

#: name of the metadata buffer, and its length in bytes, of which a text fills the first
BUFFER = "min_runtime_version"
BUFFER_BYTES = 16

_TEXT = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")
_CODES = schema.BuiltinOperator


class RuntimeVersion(FrozenModel):
    """A version of the runtime, such as 2.10; what is fixed within one is no matter."""

    major: int
    minor: int

    @classmethod
    def of(cls, text: str) -> Self:
        """The version that a text such as `2.7` or `2.9.1` names.

        Raises:
            EncodingError: it names none.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise EncodingError(f"{text!r} is no version of a runtime; expected one as in 2.7")
        return cls(major=int(match[1]), minor=int(match[2]))

    def __lt__(self, other: RuntimeVersion) -> bool:
        return (self.major, self.minor) < (other.major, other.minor)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def buffer(self) -> bytes:
        """As the metadata buffer holds it."""
        return f"{self}.0".encode().ljust(BUFFER_BYTES, b"\0")


#: the first that takes a scale for each channel of a fully connected layer
CHANNEL_SCALES = RuntimeVersion(major=2, minor=10)
#: by builtin operator and version, for all that the encoder writes
_LEAST: dict[tuple[int, int], str] = {
    (_CODES.CONV_2D, 1): "1.5",
    (_CODES.CONV_2D, 3): "1.14",
    (_CODES.CONV_2D, 4): "2.3",
    (_CODES.CONV_2D, 5): "2.4",
    (_CODES.CONV_2D, 6): "2.9",
    (_CODES.DEPTHWISE_CONV_2D, 1): "1.5",
    (_CODES.DEPTHWISE_CONV_2D, 3): "1.14",
    (_CODES.DEPTHWISE_CONV_2D, 5): "2.3",
    (_CODES.DEPTHWISE_CONV_2D, 6): "2.3",
    (_CODES.FULLY_CONNECTED, 1): "1.5",
    (_CODES.FULLY_CONNECTED, 4): "1.14",
    (_CODES.FULLY_CONNECTED, 7): "2.3",
    (_CODES.FULLY_CONNECTED, 9): "2.3",
    (_CODES.MEAN, 1): "1.6",
    (_CODES.MEAN, 2): "1.14",
    (_CODES.MEAN, 3): "2.4",
    (_CODES.AVERAGE_POOL_2D, 1): "1.5",
    (_CODES.AVERAGE_POOL_2D, 2): "1.14",
    (_CODES.AVERAGE_POOL_2D, 3): "2.3",
    (_CODES.MAX_POOL_2D, 1): "1.5",
    (_CODES.MAX_POOL_2D, 2): "1.14",
    (_CODES.MAX_POOL_2D, 3): "2.3",
    (_CODES.ADD, 1): "1.5",
    (_CODES.ADD, 2): "1.14",
    (_CODES.ADD, 3): "2.4",
    (_CODES.MUL, 1): "1.5",
    (_CODES.MUL, 2): "1.14",
    (_CODES.MUL, 4): "2.3",
    (_CODES.RELU, 1): "1.5",
    (_CODES.RELU, 2): "2.1",
    (_CODES.RELU, 3): "2.5",
    (_CODES.RELU6, 1): "1.5",
    (_CODES.RELU6, 2): "1.14",
    (_CODES.RELU6, 3): "2.5",
    (_CODES.HARD_SWISH, 1): "1.15",
    (_CODES.LOGISTIC, 1): "1.14",
    (_CODES.LOGISTIC, 2): "1.14",
    (_CODES.LOGISTIC, 3): "2.3",
    (_CODES.SOFTMAX, 1): "1.5",
    (_CODES.SOFTMAX, 2): "1.14",
    (_CODES.SOFTMAX, 3): "2.3",
    (_CODES.PAD, 1): "1.5",
    (_CODES.PAD, 2): "1.14",
    (_CODES.PAD, 3): "2.4",
    (_CODES.RESHAPE, 1): "1.5",
    (_CODES.TRANSPOSE, 1): "1.6",
    (_CODES.TRANSPOSE, 2): "1.14",
    (_CODES.TRANSPOSE, 5): "2.4",
    (_CODES.QUANTIZE, 1): "1.14",
    (_CODES.QUANTIZE, 2): "2.2",
    (_CODES.DEQUANTIZE, 2): "1.14",
    (_CODES.DEQUANTIZE, 3): "1.15",
}


def least_runtime(
    codes: Iterable[tuple[int, int]], *, channel_scales: bool
) -> tuple[RuntimeVersion, str]:
    """The least version that runs a file, and the schema's name of an operator that needs it.

    Args:
        codes: builtin operators of the file with their versions.
        channel_scales: whether a fully connected layer in int8 has a scale for each channel.

    Raises:
        EncodingError: it is not known of an operator.
    """
    names = {value: name for name, value in vars(_CODES).items() if isinstance(value, int)}
    needed = []
    for code, version in codes:
        least = _LEAST.get((code, version))
        if least is None:
            raise EncodingError(
                f"no runtime is known that first had {names[code]} of version {version}; add it to "
                "netspec/tflite/runtimes.py"
            )
        needed.append((RuntimeVersion.of(least), names[code]))
    if channel_scales:
        needed.append((CHANNEL_SCALES, "FULLY_CONNECTED with a scale for each channel"))
    return max(needed, key=lambda one: (one[0].major, one[0].minor))
