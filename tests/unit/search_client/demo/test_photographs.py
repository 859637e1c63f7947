from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspec.errors import UserError
from search_client.demo import photographs
from search_client.demo.photographs import (
    PHOTOGRAPHS,
    TILES,
    crop_boxes,
    read_photograph,
    write_photographs,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(100, 500), st.integers(100, 500), st.integers(0, 2**32 - 1))
def test_training_and_test_crops_share_no_pixel(width: int, height: int, seed: int) -> None:
    touched = np.zeros((2, height, width), bool)
    for parity in (0, 1):
        rng = np.random.default_rng([seed, parity])
        for _, (left, top, right, bottom) in islice(crop_boxes(width, height, parity, rng), 100):
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            assert right - left == bottom - top >= 0.55 * (min(width, height) // TILES)
            touched[parity, top:bottom, left:right] = True
    assert not touched.all(axis=0).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(100, 500), st.integers(100, 500), st.integers(0, 2**32 - 1))
def test_crops_of_one_tile_share_no_pixel_with_those_of_another(
    width: int, height: int, seed: int
) -> None:
    of_pixel: dict[tuple[int, int], tuple[int, int]] = {}
    boxes = crop_boxes(width, height, 0, np.random.default_rng(seed))
    for tile, (left, top, right, bottom) in islice(boxes, 60):
        for corner in ((left, top), (right - 1, bottom - 1), (left, bottom - 1), (right - 1, top)):
            assert of_pixel.setdefault(corner, tile) == tile


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_photograph_is_installed_and_large_enough(name: str) -> None:
    photograph = read_photograph(name)
    assert photograph.mode == "RGB"
    assert min(photograph.size) >= 300


def test_a_missing_photograph_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHOTOGRAPHS, "unicorn", ("skimage", "data", "unicorn.png"))
    with pytest.raises(UserError, match=r"unicorn\.png of the package skimage is not installed"):
        read_photograph("unicorn")
    monkeypatch.setitem(PHOTOGRAPHS, "dragon", ("no_such_package", "data", "dragon.png"))
    with pytest.raises(UserError, match="package no_such_package is not installed"):
        read_photograph("dragon")


def test_an_image_folder_is_written_and_the_seed_decides_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {name: PHOTOGRAPHS[name] for name in ("cat", "temple")}
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", two)
    seen: list[tuple[int, int]] = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_photographs(
            tmp_path / folder, 24, 6, 4, seed, lambda done, total: seen.append((done, total))
        )
    written = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert [str(path) for path in written] == [
        *(f"test/{name}/{number:03d}.png" for name in two for number in range(2)),
        *(f"train/{name}/{number:03d}.png" for name in two for number in range(3)),
    ]
    assert seen == [(done, 10) for done in range(1, 11)] * 3
    for path in written:
        with Image.open(tmp_path / "a" / path) as image:
            assert (image.size, image.mode) == ((24, 24), "RGB")
        same = (tmp_path / "a" / path).read_bytes()
        assert (tmp_path / "b" / path).read_bytes() == same
        assert (tmp_path / "c" / path).read_bytes() != same
