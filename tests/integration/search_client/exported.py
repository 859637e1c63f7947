"""A tiny trained and quantized network in a run's folder, and its images as files."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from typer.testing import CliRunner

from search_client.cli import app
from search_client.data.batches import TrainingBatches, central_crop
from search_client.data.folders import ImageSet
from search_client.deployment.trained_network import Source, TrainedNetwork
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.training.loop import TrainConfig, train
from tests.unit.search_client.tiny import tiny_images, tiny_space

NETWORK = tiny_space().network([0, 6])
CLASSES = ("class 0", "class 1", "class 2")
TEST = tiny_images(60, seed=1)
IMAGES = central_crop(TEST.images, 16)


def write_images(data: ImageSet, folder: Path) -> None:
    """Every image as FOLDER/CLASS/NUMBER.png."""
    for index, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        path = folder / data.classes[int(label)] / f"{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


def trained_network(data: Path) -> TrainedNetwork:
    """A network trained for a second, finetuned for another; images written to `data`."""
    torch.manual_seed(0)
    training = tiny_images(200)
    write_images(training, data / "train")
    write_images(TEST, data / "test")
    model = FloatNetwork(NETWORK)
    batches = TrainingBatches(training, 16, 20, seed=0)
    config = TrainConfig(epochs=10, rising_epochs=0, learning_rate=0.05)
    train(model, batches, config, lambda _: None)
    finetuning = QatConfig(epochs=1, norm_epochs=0, frozen_epochs=1)
    quantized, _ = finetune_int8(model, batches, finetuning, lambda _: None)
    source = Source("a run", "ab" * 32, str(data))
    return TrainedNetwork(CLASSES, source, model.eval(), quantized.eval())


def command(*arguments: str | Path) -> str:
    """What a command of `search-client` prints; it succeeds."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
