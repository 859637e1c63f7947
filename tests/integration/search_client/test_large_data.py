"""Quantization on images that stay on disk: shards, ImageNet's folders, and what it all takes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from netspec.errors import UserError
from netspec.networks import mobilenet_v2
from search_client.data.batches import Batch
from search_client.data.stored import StoredImages
from search_client.deployment.trained_network import NOWHERE, TrainedNetwork, load_trained_network
from search_client.networks.layers import FloatNetwork
from search_client.progress import Stages
from search_client.quantization.finetuning import QatConfig
from search_client.stages.data import read_images, read_test_images
from search_client.stages.quantize import QuantizeOptions, quantize_network
from search_client.training.checkpoints import Stopped
from search_client.training.loop import TrainConfig, train
from tests.forked import processes
from tests.integration.search_client.exported import command
from tests.integration.search_client.finetunings import FINETUNING, quantized_by, stopped_at
from tests.integration.search_client.made_shards import imagenet_like, shards_of


@pytest.fixture(scope="module")
def shards(trained: TrainedNetwork, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert trained.source.data == str(data)  # which made them
    return shards_of(data, tmp_path_factory.mktemp("shards") / "data", "val")


@pytest.mark.parametrize("name", ["searched.int8.tflite", "searched.network.pt"])
def test_shards_are_evaluated_as_their_files_are(
    name: str, run: Path, data: Path, shards: Path
) -> None:
    of_files = command("evaluate", run / name, "--data", data, "--json")
    assert json.loads(of_files)["images"] == 60
    options = ("--data", shards, "--json", "--workers", "1")
    assert command("evaluate", run / name, *options) == of_files
    (shards / "classes.txt").rename(shards / "names.txt")
    try:
        with pytest.raises(UserError, match="has no class"):
            command("evaluate", run / name, *options)
    finally:
        (shards / "names.txt").rename(shards / "classes.txt")


def test_test_images_alone_are_enough_to_verify(
    run: Path, data: Path, shards: Path, tmp_path: Path
) -> None:
    for place in (data, shards):
        alone = tmp_path / place.name / "of" / place.parent.name
        alone.mkdir(parents=True)
        for entry in place.iterdir():
            if not entry.name.startswith("train"):
                (alone / entry.name).symlink_to(entry)
        options = ("--run", run, "--data", alone, "--json", "--workers", "0")
        model = run / "searched.int8.tflite"
        found = [command("verify", model, *options, *more) for more in ((), ("--memory-gb", "0"))]
        assert found[0] == found[1] == command("verify", model, "--run", run, "--json")


def test_images_to_train_on_are_missed_where_they_are_needed(shards: Path, tmp_path: Path) -> None:
    for entry in shards.glob("val-*"):
        (tmp_path / entry.name).symlink_to(entry)
    stages = Stages(quiet=True)
    with pytest.raises(UserError, match=r"no train-\*\.tar"):
        read_images(tmp_path, 16, stages)
    # Without names, classes are numbers.
    assert read_test_images(tmp_path, 16, stages, workers=0).classes == ("0", "1", "2")


def test_quantize_gives_the_same_network_of_images_left_on_disk(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    for name in ("memory", "disk"):
        (tmp_path / name).mkdir()
        replace(trained, quantized=None).save(tmp_path / name, "net")
    expected = quantized_by(tmp_path / "memory", *FINETUNING)
    on_disk = quantized_by(tmp_path / "disk", *FINETUNING, "--memory-gb", "0", "--workers", "0")
    for name, value in expected.items():
        assert torch.equal(value, on_disk[name]), name


@pytest.mark.parametrize("options", [("--ptq",), FINETUNING], ids=["post-training", "finetuned"])
def test_shards_make_the_network_that_their_files_make(
    options: tuple[str, ...],
    trained: TrainedNetwork,
    data: Path,
    shards: Path,
    tmp_path: Path,
) -> None:
    """In one go; of finetunings from shards also in two."""
    for name in ("files", "shards", "stopped"):
        (tmp_path / name).mkdir()
        replace(trained, quantized=None).save(tmp_path / name, "net")
    expected = quantized_by(tmp_path / "files", *options, "--data", data)
    of_shards = ("--data", shards, "--workers", "1")
    found = [quantized_by(tmp_path / "shards", *options, *of_shards)]
    if options == FINETUNING:
        with stopped_at(13):  # in the second epoch of 10 steps
            quantized_by(tmp_path / "stopped", *options, *of_shards)
        found.append(quantized_by(tmp_path / "stopped", *options, *of_shards, "--resume"))
    for one in found:
        for name, value in expected.items():
            assert torch.equal(value, one[name]), name


def test_a_recipe_trains_and_quantizes_a_shipped_network_without_a_search(
    data: Path, shards: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        "batch_size = 25\nworkers = 1\n[train]\nepochs = 1\n"
        "[finetune]\nepochs = 2\nnorm_epochs = 1\nfrozen_epochs = 1\n"
    )
    run, network = tmp_path / "run", ("--network", "mobilenet_v2", "--width", "0.1")
    options = ("--recipe", recipe, "--data", shards, "--run", run)
    command("train", *options, *network, "--input-size", "32", "--set", "train.learning_rate=0.01")
    made = load_trained_network(run, "float")
    assert made.network == mobilenet_v2(32, 0.1, 3).with_precision("float32")
    command("quantize", "--recipe", recipe, "--run", run, "--network", "float", "--as", "small")
    assert (run / "small.int8.tflite").is_file()
    for wrong, message in (
        (("--set", "train.start=supernet", *network), "needs the supernet of a search"),
        ((), "needs a --network"),
        (("--network", run / "small.network.pt", "--data", data.parent), "no data folder|classes"),
    ):
        with pytest.raises(UserError, match=message):
            command("train", *options, *wrong)


#: network's side (px) and width; images and their longer side (px); images of a step; most steps;
#: threads that decode; what finetuning may take beyond a plain training step, MiB
Case = tuple[int, float, int, int, int, int, int, int]
SHORT: Case = (64, 0.1, 7_000, 40, 8, 5, 1, 60)
WHOLE: Case = (160, 1.0, 4_000, 500, 20, 200, 4, 300)


@pytest.mark.parametrize(
    "case", [SHORT, pytest.param(WHOLE, marks=pytest.mark.nightly)], ids=["short", "whole"]
)
def test_finetuning_on_shards_takes_little_more_memory_than_a_training_step(
    case: Case, tmp_path: Path
) -> None:
    size, _, images, side, *_, limit_mib = case
    folder = imagenet_like(tmp_path / "shards", images, 1_000, side)
    answer = tmp_path / "answer.json"
    process = processes.Process(target=measured, args=(folder, case, answer))
    process.start()
    process.join(3_600)
    assert process.exitcode == 0
    found = json.loads(answer.read_text())
    assert found["steps"] == case[5]
    # In memory the images alone would take more than that.
    assert images * 3 * round(size * 256 / 224) ** 2 / 2**20 > limit_mib
    assert found["finetuning_mib"] - found["plain_mib"] <= limit_mib, found


def measured(folder: Path, case: Case, answer: Path) -> None:
    """Leave the greatest memory of plain training and of finetuning on shards, MiB, in a file."""
    size, width, _, _, batch, steps, workers, _ = case
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = FloatNetwork(mobilenet_v2(size, width, 1_000))
    plain = _Repeated(torch.randn(batch, 3, size, size), torch.arange(batch))
    train(model, plain, TrainConfig(epochs=1, learning_rate=1e-3, rising_epochs=0), lambda _: None)
    plain_mib = _greatest_mib()
    model.zero_grad()  # a network that is finetuned comes from a file, which holds no gradients
    training, _ = read_images(folder, size, Stages(quiet=True), workers=workers)
    assert isinstance(training, StoredImages)
    trained = TrainedNetwork(training.classes, NOWHERE, model)
    config = QatConfig(epochs=1, norm_epochs=1, frozen_epochs=0, learning_rate=1e-3)
    options = QuantizeOptions(config, batch_size=batch)
    stages = _Watched(steps)
    with suppress(Stopped):
        quantize_network(trained, training, options, stages)
    found = {"steps": stages.done, "plain_mib": plain_mib, "finetuning_mib": _greatest_mib()}
    answer.write_text(json.dumps(found))


class _Watched(Stages):
    """Ends a training after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__(quiet=True)
        self.steps = steps
        self.done = 0

    def observe(
        self, part: str, step: int, values: Mapping[str, float], *, now: bool = False
    ) -> None:
        del part, values, now
        self.done = step
        # What others held would not be in this process's memory.
        assert not multiprocessing.active_children()
        if step == self.steps:
            raise Stopped("enough")


class _Repeated:
    """The same batch twice, every epoch."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.batch = images, labels

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        del number
        yield from [self.batch] * (2 - start)


def _greatest_mib() -> float:
    """The most that this process has held so far."""
    rows = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(row[1]) for row in rows if row[0] == "VmHWM:") / 1024
