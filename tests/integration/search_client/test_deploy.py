"""A tiny network through training, finetuning, export and comparison."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from netspec.operators import PRECISIONS
from search_client.data.batches import central_crop
from search_client.data.folders import ImageSet
from search_client.deployment.litert import TFLiteClassifier
from search_client.deployment.logits import to_pixels
from search_client.deployment.parity import ParityFailed
from search_client.progress import Stages
from search_client.quantization.finetuning import QatConfig
from search_client.recipe import Recipe
from search_client.stages.deploy import Deployed, _at_size, deploy
from search_client.training.loop import TrainConfig
from tests.unit.search_client.tiny import tiny_images, tiny_space

SPACE = tiny_space()
NETWORK = SPACE.network([0, 6])
SETTINGS = Recipe(
    space=SPACE,
    batch_size=20,
    train=TrainConfig(epochs=10, rising_epochs=0, learning_rate=0.05),
    finetune=QatConfig(epochs=1, frozen_epochs=1),
)
TEST = tiny_images(60, seed=1)


def stages() -> Stages:
    return Stages(Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def timed() -> Stages:
    return stages()


@pytest.fixture(scope="module")
def deployed(timed: Stages) -> Deployed:
    return deploy(NETWORK, tiny_images(200), TEST, SETTINGS, timed)


def file_accuracy(file: bytes, test: ImageSet) -> float:
    crops = to_pixels(central_crop(test.images, NETWORK.input_size))
    chosen = TFLiteClassifier(file).logits(crops).argmax(axis=1)
    return float((chosen == test.labels.numpy()).mean())


def test_both_files_do_what_their_numbers_say(deployed: Deployed) -> None:
    assert set(deployed.files) == set(deployed.parity) == set(PRECISIONS)
    for precision in PRECISIONS:
        parity = deployed.parity[precision]
        assert parity.accuracy == file_accuracy(deployed.files[precision], TEST)
        assert parity.top1_agreement >= 0.995
    assert deployed.parity["float32"].max_difference < 1e-3
    assert deployed.parity["float32"].max_steps is None
    assert deployed.parity["int8"].max_steps is not None
    assert deployed.parity["int8"].max_steps <= 3


def test_the_network_learns_and_int8_keeps_it(deployed: Deployed) -> None:
    # By chance: a third.
    assert deployed.accuracy_float > 0.6
    assert deployed.parity["float32"].accuracy == pytest.approx(deployed.accuracy_float, abs=0.02)
    assert deployed.parity["int8"].accuracy > 0.6


def test_every_stage_is_timed(deployed: Deployed, timed: Stages) -> None:
    assert deployed.network == NETWORK
    assert list(timed.seconds) == ["train", "quantize", "export"]


def test_a_file_that_strays_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    of_litert = TFLiteClassifier.logits
    monkeypatch.setattr(
        TFLiteClassifier, "logits", lambda *arguments: -np.asarray(of_litert(*arguments))
    )
    with pytest.raises(ParityFailed, match="logits of the float32 file differ from torch"):
        deploy(NETWORK, tiny_images(60), TEST, SETTINGS, stages())


def test_a_network_of_another_size_sees_the_same_part_of_the_images() -> None:
    seen = _at_size(tiny_images(10), 32)
    assert seen.images.shape == (10, 3, 37, 37)
    assert seen.images.dtype == torch.uint8
    same = tiny_images(10)
    assert _at_size(same, 16) is same
