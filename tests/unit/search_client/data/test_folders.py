from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from netspec.errors import UserError
from search_client.data.folders import (
    ImageSet,
    NoClasses,
    read_folder,
    read_square,
    split_by_class,
    stored_size,
)
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.stages.data import read_data
from tests.unit.search_client.tiny import tiny_space


def _write(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def _quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


def test_parts_are_read_with_classes_in_order_of_their_names(tmp_path: Path) -> None:
    _write(tmp_path / "train" / "red" / "a.png", (255, 0, 0))
    _write(tmp_path / "train" / "red" / "b.JPG", (255, 0, 0))
    _write(tmp_path / "train" / "blue" / "a.png", (0, 0, 255))
    _write(tmp_path / "val" / "red" / "a.png", (255, 0, 0))
    _write(tmp_path / "val" / "blue" / "a.png", (0, 0, 255))
    (tmp_path / "train" / "red" / "notes.txt").write_text("no image")
    seen: list[tuple[int, int]] = []
    training, test = read_folder(tmp_path, 4, lambda done, total: seen.append((done, total)))
    assert training.classes == test.classes == ("blue", "red")
    assert training.labels.tolist() == [0, 1, 1]
    assert test.labels.tolist() == [0, 1]
    assert training.images.shape == (3, 3, 4, 4)
    assert training.images.dtype == torch.uint8
    assert test.images[0, :, 0, 0].tolist() == [0, 0, 255]
    assert seen == [(done, 5) for done in range(1, 6)]


def test_class_folders_alone_are_split_the_same_way_by_every_run_and_command(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        for number in range(10):
            _write(tmp_path / name / f"{number}.png", (10 * number, 0, 0))
    space = tiny_space()
    size = stored_size(space.input_size)
    training, test = read_folder(tmp_path, size, _quiet)
    assert torch.bincount(training.labels).tolist() == [8, 8]
    assert torch.bincount(test.labels).tolist() == [2, 2]
    for seed in (0, 3):
        settings = Recipe(space=space, seed=seed)
        _, of_run = read_data(tmp_path, settings, Stages(Console(quiet=True)))
        assert isinstance(of_run, ImageSet)
        assert torch.equal(of_run.images, test.images)


def test_a_split_takes_a_fraction_of_every_class_and_loses_nothing() -> None:
    images = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 3, 1, 1)
    data = ImageSet(images, torch.tensor([0] * 15 + [1] * 5), ("many", "few"))
    remaining, taken = split_by_class(data, 0.2, seed=0)
    assert torch.bincount(taken.labels).tolist() == [3, 1]
    values = torch.cat([remaining.images, taken.images])[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(20))


def test_the_last_images_of_every_class_can_be_taken() -> None:
    images = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 3, 1, 1)
    data = ImageSet(images, torch.tensor([0, 1] * 5 + [0] * 10), ("many", "few"))
    remaining, taken = split_by_class(data, 0.2, seed=0, last=True)
    assert sorted(taken.images[:, 0, 0, 0].tolist()) == [9, 17, 18, 19]
    values = torch.cat([remaining.images, taken.images])[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(20))


def test_a_class_of_one_image_cannot_be_split() -> None:
    data = ImageSet(torch.zeros(3, 3, 1, 1, dtype=torch.uint8), torch.tensor([0, 0, 1]), ("a", "b"))
    with pytest.raises(UserError, match="class 'b' has 1 images"):
        split_by_class(data, 0.5, seed=0)


@pytest.mark.parametrize("fraction", [0.99, 0.84])
def test_a_share_that_leaves_none_to_train_on_is_refused_with_what_fits(fraction: float) -> None:
    labels = torch.tensor([0] * 3 + [1] * 50)
    data = ImageSet(torch.zeros(53, 3, 1, 1, dtype=torch.uint8), labels, ("a", "b"))
    with pytest.raises(UserError, match=r"takes all 3 images of class 'a',.* most 0\.6666 fits"):
        split_by_class(data, fraction, seed=0)
    remaining, taken = split_by_class(data, 0.6666, seed=0)
    assert torch.bincount(remaining.labels).tolist() == [1, 17]
    assert len(taken) == 35


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "has 0 classes with images .it holds nothing.; expected FOLDER/train/CLASS"),
        (["a.png", "b.png"], "has 0 classes with images .it holds a.png, b.png.; expected"),
        (["cats/a.png"], "has 1 classes with images .it holds cats.; expected"),
        (
            ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"],
            "one of them has: b, c",
        ),
    ],
)
def test_a_folder_without_classes_is_told_from_one_with(
    tmp_path: Path, files: list[str], said: str
) -> None:
    for file in files:
        _write(tmp_path / file, (0, 0, 0))
    with pytest.raises(NoClasses, match=said):
        read_folder(tmp_path, 4, _quiet)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoClasses, match=r"no data folder .*nowhere; expected FOLDER"):
        read_folder(tmp_path / "nowhere", 4, _quiet)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _write(tmp_path / name / "1.png", (0, 0, 0))
    (tmp_path / "b" / "2.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"b.2\.png is no image"):
        read_folder(tmp_path, 4, _quiet)


def test_the_middle_of_an_oblong_image_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((4, 12, 3), np.uint8)
    pixels[:, 4:8] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (read_square(tmp_path / "wide.png", 4) == 200).all()


def test_stored_images_leave_a_margin_to_crop() -> None:
    assert stored_size(224) == 256
