import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from netspec.errors import UserError
from search_client.data.batches import TrainingBatches
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
        assert next(one.read([order])).equal(next(other.read([order])))
        assert one.labels.equal(other.labels)


def test_workers_give_the_batches_that_one_process_gives(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data")
    alone, _ = read_data(folder, _settings(0.0), STAGES)
    helped, _ = read_data(folder, _settings(0.0, workers=2), STAGES)
    batches = [list(TrainingBatches(one, 16, 4, seed=1).epoch(2, 1)) for one in (alone, helped)]
    assert len(batches[0]) == 2
    for (images, labels), (others, their) in zip(*batches, strict=True):
        assert images.equal(others)
        assert labels.equal(their)


def test_shards_are_read_by_key_and_split_by_class(tmp_path: Path) -> None:
    training, test = read_data(_shards(tmp_path / "data"), _settings(1.0), STAGES)
    assert (len(training), len(test), training.classes) == (12, 4, ("cat", "dog"))
    (images,) = training.read([torch.arange(12)])
    # label 1 is 100 brighter; images of one shard differ by tens, shards by one
    assert images[:, 0, 0, 0].tolist() == [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121]
    assert training.labels.tolist() == [0, 1] * 6
    remaining, held_out = split_by_class(training, 0.5, seed=0)
    assert torch.bincount(held_out.labels).tolist() == [3, 3]
    assert len(remaining) == 6
    (taken,) = held_out.read([torch.arange(6)])
    assert ((taken[:, 0, 0, 0] >= 100).long() == held_out.labels).all()


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
        (images,) = resized.read([torch.arange(len(training))])
        assert images.shape == (len(training), 3, 37, 37)
        assert images.dtype == torch.uint8
        assert resized.labels.equal(training.labels)


def test_other_classes_than_the_searchs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cat, dog, but the search was made on owl"):
        read_data(_folder(tmp_path / "data"), _settings(1.0), STAGES, ["owl"])
