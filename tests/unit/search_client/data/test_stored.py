import io
import tarfile
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from netspec.errors import UserError
from search_client.data.batches import Batch, TrainingBatches
from search_client.data.folders import ImageSet, NoClasses, split_by_class
from search_client.data.stored import StoredImages
from search_client.data.webdataset import read_shards
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.stages.data import read_data

STAGES = Stages(Console(quiet=True))


def _png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 20, 3), value, np.uint8)).save(file, "png")
    return file.getvalue()


def _folder(path: Path) -> Path:
    for part, count in (("train", 6), ("val", 2)):
        for label, name in enumerate(("cat", "dog")):
            (path / part / name).mkdir(parents=True)
            for index in range(count):
                file = path / part / name / f"{index}.png"
                file.write_bytes(_png(100 * label + 10 * index))
    return path


def _shards(path: Path) -> Path:
    path.mkdir()
    for part, count in (("train", 3), ("val", 1)):
        for number in range(2):
            with tarfile.open(path / f"{part}-{number:03}.tar", "w") as shard:
                for index in range(count):
                    for label in range(2):
                        _add(shard, f"{index}-{label}.png", _png(100 * label + 10 * index + number))
                        _add(shard, f"{index}-{label}.cls", str(label).encode())
    (path / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")
    return path


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))


def _settings(memory_gb: float, workers: int = 0) -> Recipe:
    settings = Recipe(memory_gb=memory_gb, workers=workers)
    return settings.model_copy(
        update={"space": settings.space.model_copy(update={"input_size": 16})}
    )


def test_images_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data")
    kept, kept_test = read_data(folder, _settings(1.0), STAGES)
    stored, stored_test = read_data(folder, _settings(0.0), STAGES)
    assert isinstance(kept, ImageSet)
    assert isinstance(stored, StoredImages)
    assert stored.classes == kept.classes == ("cat", "dog")
    for one, other in ((kept, stored), (kept_test, stored_test)):
        order = torch.arange(len(one)).flip(0)
        for mine, theirs in zip(next(one.read([order])), next(other.read([order])), strict=True):
            assert mine.equal(theirs)
        assert one.labels.equal(other.labels)


def test_threads_give_the_batches_that_one_gives(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data")
    alone, _ = read_data(folder, _settings(0.0), STAGES)
    helped, _ = read_data(folder, _settings(0.0, workers=2), STAGES)
    batches = [list(TrainingBatches(one, 16, 4, seed=1).epoch(2, 1)) for one in (alone, helped)]
    assert len(batches[0]) == 2
    for (images, labels), (others, their) in zip(*batches, strict=True):
        assert images.equal(others)
        assert labels.equal(their)


@pytest.mark.parametrize("workers", [0, 3])
def test_two_batches_at_most_are_decoded_ahead_and_threads_end_with_the_reading(
    tmp_path: Path, workers: int
) -> None:
    training, _ = read_data(_shards(tmp_path / "data"), _settings(0.0, workers), STAGES)
    assert isinstance(training, StoredImages)
    source, asked = training.source, list[int]()

    class Watched:
        name, hash_into = source.name, source.hash_into

        def content(self, index: int) -> bytes:
            asked.append(index)
            return source.content(index)

    before = set(threading.enumerate())
    orders = torch.split(torch.arange(12), 1)
    reading = cast("Generator[Batch]", replace(training, source=Watched()).read(orders))
    for batch in range(3):
        next(reading)
        assert batch in asked
        assert set(asked) <= set(range(batch + 3))
    reading.close()
    assert set(threading.enumerate()) <= before


def test_shards_are_read_by_key_and_split_by_class(tmp_path: Path) -> None:
    training, test = read_data(_shards(tmp_path / "data"), _settings(1.0), STAGES)
    assert (len(training), len(test), training.classes) == (12, 4, ("cat", "dog"))
    ((images, labels),) = training.read([torch.arange(12)])
    assert labels.equal(training.labels)
    # label 1 is 100 brighter; images of one shard differ by tens, shards by one
    assert images[:, 0, 0, 0].tolist() == [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121]
    assert training.labels.tolist() == [0, 1] * 6
    remaining, held_out = split_by_class(training, 0.5, seed=0)
    assert torch.bincount(held_out.labels).tolist() == [3, 3]
    assert len(remaining) == 6
    ((taken, labels),) = held_out.read([torch.arange(6)])
    assert ((taken[:, 0, 0, 0] >= 100).long() == labels).all()


def test_a_shard_without_labels_is_refused(tmp_path: Path) -> None:
    folder = _shards(tmp_path / "data")
    with tarfile.open(folder / "train-002.tar", "w") as shard:
        _add(shard, "7.png", _png(0))
    with pytest.raises(UserError, match=r"needs an image and a \.cls of each key; not so for 7"):
        read_shards(folder, 18, 0)


@pytest.mark.parametrize("label", [b"-1", b"cat", b""])
def test_a_label_that_is_no_class_number_is_refused(tmp_path: Path, label: bytes) -> None:
    folder = _shards(tmp_path / "data")
    with tarfile.open(folder / "train-002.tar", "w") as shard:
        _add(shard, "7.png", _png(0))
        _add(shard, "7.cls", label)
    with pytest.raises(UserError, match=r"train-002\.tar is no shard of labelled images"):
        read_shards(folder, 18, 0)


def test_parts_of_other_classes_are_named_also_where_images_stay_on_disk(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data")
    (folder / "val" / "dog").rename(folder / "val" / "wolf")
    for memory_gb in (0.0, 1.0):
        with pytest.raises(NoClasses, match="only one of them has: dog, wolf"):
            read_data(folder, _settings(memory_gb), STAGES)


@pytest.mark.parametrize("content", [b"", b"no tar at all"])
def test_what_is_no_shard_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = _shards(tmp_path / "data")
    (folder / "train-000.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"train-000\.tar is no shard"):
        read_shards(folder, 18, 0)


def test_images_are_kept_at_another_size_on_disk_and_in_memory(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data")
    for memory_gb in (0.0, 1.0):
        training, _ = read_data(folder, _settings(memory_gb), STAGES)
        resized = training.at_size(37)
        ((images, _),) = resized.read([torch.arange(len(training))])
        assert images.shape == (len(training), 3, 37, 37)
        assert images.dtype == torch.uint8
        assert resized.labels.equal(training.labels)


def test_other_classes_than_the_searchs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cat, dog, but the search was made on owl"):
        read_data(_folder(tmp_path / "data"), _settings(1.0), STAGES, ["owl"])


#: damages of a PNG: not one at all, cut off, with a broken chunk
_DAMAGES = [
    lambda path: path.write_bytes(b"no image"),
    lambda path: path.write_bytes(path.read_bytes()[:40]),
    lambda path: path.write_bytes(path.read_bytes().replace(b"IDAT", b"IDAX")),
]


@pytest.mark.parametrize(
    ("memory_gb", "workers", "damage"),
    [(0.0, 1, _DAMAGES[0]), (1.0, 0, _DAMAGES[0]), *((0.0, 0, damage) for damage in _DAMAGES)],
)
def test_an_unreadable_image_is_named_once_left_out_and_counted(
    tmp_path: Path, memory_gb: float, workers: int, damage: Callable[[Path], object]
) -> None:
    folder = _folder(tmp_path / "data")
    damage(folder / "train" / "dog" / "2.png")
    said = StringIO()
    stages = Stages(Console(file=said, width=200))
    settings = _settings(memory_gb, workers).model_copy(update={"unreadable_share": 0.1})
    training, _ = read_data(folder, settings, stages)
    batches = TrainingBatches(training, 16, 4, seed=1)
    for epoch in range(2):
        shown = [labels for _, labels in batches.epoch(epoch)]
        # Of 12 images 11 are shown, or the 8 that fill batches of those that are in memory.
        assert sum(map(len, shown)) == (8 if memory_gb else 11)
        assert sum(int(labels.sum()) for labels in shown) <= 5 + int(memory_gb > 0)
    (name,) = training.unreadable
    assert name.endswith("train/dog/2.png")
    assert " ".join(said.getvalue().split()).count("Left out: ") == 1
    remaining, _ = split_by_class(training, 0.2, seed=0)
    assert remaining.unreadable == training.unreadable


@pytest.mark.parametrize("memory_gb", [0.0, 1.0])
def test_more_unreadable_images_than_the_share_end_the_reading(
    tmp_path: Path, memory_gb: float
) -> None:
    folder = _folder(tmp_path / "data")
    for name in ("cat/1.png", "dog/2.png"):
        (folder / "train" / name).write_bytes(b"no image")
    settings = _settings(memory_gb).model_copy(update={"unreadable_share": 0.1})
    with pytest.raises(UserError, match=r"2 of 16 images cannot be read, and at most .* 0\.1 may"):
        list(TrainingBatches(read_data(folder, settings, STAGES)[0], 16, 4, seed=1).epoch(0))


@pytest.mark.parametrize("make", [_folder, _shards])
def test_a_fingerprint_is_of_the_images_and_their_labels(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    folder = make(tmp_path / "data")
    for memory_gb in (0.0, 1.0):
        before = read_data(folder, _settings(memory_gb), STAGES)[0].fingerprint()
        moved = folder.rename(tmp_path / f"moved {memory_gb}")
        same, test = read_data(moved, _settings(memory_gb), STAGES)
        assert same.fingerprint() == before
        order = torch.arange(len(same))
        others = [
            test,
            same.subset(order[1:]),
            same.subset(order.flip(0)),
            same.relabelled(1 - same.labels, same.classes),
            same.relabelled(same.labels, ("cat", "wolf")),
        ]
        assert len({same.fingerprint(), *(other.fingerprint() for other in others)}) == 6
        folder = moved


@pytest.mark.parametrize("memory_gb", [0.0, 1.0])
def test_another_image_of_the_same_name_has_another_fingerprint(
    tmp_path: Path, memory_gb: float
) -> None:
    folder = _folder(tmp_path / "data")
    before = read_data(folder, _settings(memory_gb), STAGES)[0].fingerprint()
    noise = np.random.default_rng(0).integers(255, size=(20, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "train" / "cat" / "3.png")
    assert read_data(folder, _settings(memory_gb), STAGES)[0].fingerprint() != before
