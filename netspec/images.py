"""Images as a model takes them, several in one file that is stored under its hash.

The file is NumPy's `.npy`, version 1.0, of an array [N, H, W, C] in C order: the very tensors that
runs are given, so that nothing is prepared on a device. Only what `pack` writes is read.
Source: numpy.lib.format.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from netspec.errors import UserError

#: uint8, int8 or float32, [N, H, W, C]
Images = npt.NDArray[Any]

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '(?P<type>\|u1|\|i1|<f4)', 'fortran_order': False, "
    rb"'shape': \((?P<shape>[0-9]{1,9}(?:, [0-9]{1,9}){3})\), \} *\n"
)


class BadImages(UserError):
    """A file is none of images."""


def pack(images: Images) -> bytes:
    """Return the file of some images.

    Raises:
        BadImages: there are none, or they are not uint8, int8 or float32 [N, H, W, C].
    """
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(images), allow_pickle=False)
    content = stream.getvalue()
    unpack(content)
    return content


def unpack(content: bytes) -> Images:
    """Return the images of a file, without copying them.

    Raises:
        BadImages: it is not one that `pack` writes.
    """
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(content[start:end])
    if not content.startswith(_MAGIC) or header is None:
        raise BadImages(
            "expected a .npy file (version 1.0) of uint8, int8 or float32 in the shape "
            f"[N, H, W, C], got {len(content)} bytes that begin with {content[:8]!r}"
        )
    shape = tuple(int(side) for side in header["shape"].split(b", "))
    dtype = np.dtype(header["type"].decode())
    size = math.prod(shape) * dtype.itemsize
    if not size or len(content) - end != size:
        raise BadImages(
            f"the header says {list(shape)} of {dtype}, {size} bytes, but {len(content) - end} "
            "follow it; write the file again"
        )
    return np.frombuffer(content, dtype, offset=end).reshape(shape)
