"""Ten classes that are ten photographs, cut out of what two pip packages ship.

A photograph is divided into square tiles like a chessboard: training images are crops
within its black tiles, test images within its white ones, so that no pixel is in both. Images are
numbered in the order of their tiles, column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from netspec.errors import UserError

#: class: (package, folder, file)
PHOTOGRAPHS = {
    "astronaut": ("skimage", "data", "astronaut.png"),
    "cat": ("skimage", "data", "chelsea.png"),
    "coffee": ("skimage", "data", "coffee.png"),
    "flower": ("sklearn", "datasets/images", "flower.jpg"),
    "galaxies": ("skimage", "data", "hubble_deep_field.jpg"),
    "motorcycle": ("skimage", "data", "motorcycle_left.png"),
    "retina": ("skimage", "data", "retina.jpg"),
    "rocket": ("skimage", "data", "rocket.jpg"),
    "temple": ("sklearn", "datasets/images", "china.jpg"),
    "tissue": ("skimage", "data", "ihc.png"),
}
PARTS = ("train", "test")
#: tiles along the shorter side
TILES = 4
#: least side of a crop over that of its tile
LEAST_CROP = 0.6
#: zlib's fastest: the files are read once or twice
COMPRESSION = 1


def write_photographs(
    folder: Path,
    size: int,
    train_images: int,
    test_images: int,
    seed: int,
    on_image: Callable[[int, int], None],
) -> None:
    """Write `folder/{train,test}/<class>/NNN.png`, square crops of `size` px.

    Args:
        folder: made where it is missing.
        size: side of the images, px; crops are resized to it.
        train_images: of all classes together, rounded down to a multiple of ten.
        test_images: likewise.
        seed: of the crops; the same seed writes the same files.
        on_image: called with images written and images in all.

    Raises:
        UserError: a photograph is not installed.
    """
    each = {"train": train_images // len(PHOTOGRAPHS), "test": test_images // len(PHOTOGRAPHS)}
    total = sum(each.values()) * len(PHOTOGRAPHS)
    done = 0
    for index, name in enumerate(PHOTOGRAPHS):
        photograph = read_photograph(name)
        for part_index, part in enumerate(PARTS):
            target = folder / part / name
            target.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng([seed, index, part_index])
            boxes = crop_boxes(photograph.width, photograph.height, part_index, rng)
            # In the order of their tiles: the last images are of tiles that the first do not know.
            ordered = sorted(islice(boxes, each[part]), key=lambda one: one[0])
            for number, (_, box) in enumerate(ordered):
                # Cropped first: a resize with a box would look at pixels beyond it.
                crop = photograph.crop(box).resize((size, size), Image.Resampling.BICUBIC)
                crop.save(target / f"{number:03d}.png", compress_level=COMPRESSION)
                done += 1
                on_image(done, total)


def read_photograph(name: str) -> Image.Image:
    """One of `PHOTOGRAPHS`, in RGB.

    Raises:
        UserError: it is not installed.
    """
    package, inside, file = PHOTOGRAPHS[name]
    # Found, not imported: both packages take a second, and SciPy with them.
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    path = next((path for one in folders if (path := Path(one, inside, file)).exists()), None)
    if path is None:
        raise UserError(
            f"the photograph {file} of the package {package} is not installed; "
            "install this project's extra `search`, or give a folder of images with --data"
        )
    with Image.open(path) as image:
        return image.convert("RGB")


def crop_boxes(
    width: int, height: int, parity: int, rng: np.random.Generator
) -> Iterator[tuple[tuple[int, int], tuple[int, int, int, int]]]:
    """Endless square crops, each within one tile: (column, row) and (left, top, right, bottom), px.

    Args:
        width: of the photograph, px.
        height: likewise.
        parity: 0 for black tiles, 1 for white ones.
        rng: decides tile, scale and place.
    """
    tile = min(width, height) // TILES
    tiles = [
        (column, row)
        for row in range(height // tile)
        for column in range(width // tile)
        if (column + row) % 2 == parity
    ]
    while True:
        column, row = tiles[rng.integers(len(tiles))]
        side = round(tile * rng.uniform(LEAST_CROP, 1.0))
        left = column * tile + int(rng.integers(tile - side + 1))
        top = row * tile + int(rng.integers(tile - side + 1))
        yield (column, row), (left, top, left + side, top + side)
