from __future__ import annotations

import numpy as np
import pytest

from netspec.images import BadImages, pack, unpack


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_packed_images_come_back(dtype: str) -> None:
    images = np.arange(2 * 3 * 4 * 3).reshape(2, 3, 4, 3).astype(dtype)
    content = pack(images[:, :, ::-1])
    again = unpack(content)
    assert again.dtype == images.dtype
    assert np.array_equal(again, images[:, :, ::-1])
    # The same images are the same file.
    assert pack(again) == content


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 3, 4), np.uint8),
        np.zeros((0, 3, 4, 3), np.uint8),
        np.zeros((1, 3, 4, 3), np.float64),
        np.zeros((1, 3, 4, 3), ">f4"),
        np.array([[[["x"]]]], dtype=object),
    ],
)
def test_other_arrays_are_no_images(images: np.ndarray) -> None:
    with pytest.raises((BadImages, ValueError)):
        pack(images)


GOOD = pack(np.zeros((1, 2, 2, 3), np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        GOOD[:-1],
        GOOD + b"x",
        GOOD.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x02"),
        GOOD.replace(b"False", b"True "),
        GOOD.replace(b"(1, 2, 2, 3)", b"(1, 2, 2, 9)"),
        GOOD.replace(b"(1, 2, 2, 3)", b"(-1, 2, 2, 3"),
        GOOD.replace(b"'|u1'", b"'|O' "),
        GOOD.replace(b"'descr'", b"__imp_("),
        b"\x1c\0\0\0TFL3" + bytes(100),
    ],
)
def test_what_pack_does_not_write_is_not_read(content: bytes) -> None:
    with pytest.raises(BadImages, match=r"\.npy|header"):
        unpack(content)
