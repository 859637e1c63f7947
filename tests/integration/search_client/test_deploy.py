"""A tiny network through training, finetuning, export and comparison."""

import io

import numpy as np
import pytest
from rich.console import Console

from netspec.operators import PRECISIONS
from search_client import verify
from search_client.batches import central_crop, normalise
from search_client.deploy import Deployed, deploy
from search_client.images import ImageSet
from search_client.litert import TFLiteClassifier
from search_client.progress import Stages
from search_client.qat import QatConfig
from search_client.settings import Settings
from search_client.train import TrainConfig
from search_client.verify import ParityFailed
from tests.unit.search_client.tiny import tiny_images, tiny_space

SPACE = tiny_space()
NETWORK = SPACE.network([0, 6])
SETTINGS = Settings(
    space=SPACE,
    batch_size=20,
    train=TrainConfig(epochs=8, rising_epochs=0, learning_rate=0.5),
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
    crops = normalise(central_crop(test.images, NETWORK.input_size)).permute(0, 2, 3, 1)
    chosen = TFLiteClassifier(file).logits(crops.numpy()).argmax(axis=1)
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
    monkeypatch.setattr(verify, "FLOAT32_TOLERANCE", float("inf"))
    with pytest.raises(ParityFailed, match="the int8 file agrees with fake quantization on"):
        deploy(NETWORK, tiny_images(60), TEST, SETTINGS, stages())
