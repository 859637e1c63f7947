"""A tiny network through training, finetuning, export and comparison."""

import io
from collections.abc import Callable
from itertools import count
from pathlib import Path

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
from search_client.stages.deploy import Deployed, deploy, discard
from search_client.training.checkpoints import Checkpoints, State, Stopped
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
def deployed(timed: Stages, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    saved = tmp_path_factory.mktemp("run") / "searched.network.pt"
    return deploy(NETWORK, tiny_images(200), TEST, SETTINGS, timed, saved=saved)


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


def test_a_file_that_strays_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    of_litert = TFLiteClassifier.logits
    monkeypatch.setattr(
        TFLiteClassifier, "logits", lambda *arguments: -np.asarray(of_litert(*arguments))
    )
    with pytest.raises(ParityFailed, match="logits of the float32 file differ from torch"):
        deploy(
            NETWORK,
            tiny_images(60),
            TEST,
            SETTINGS,
            stages(),
            saved=tmp_path / "searched.network.pt",
        )


#: two epochs of training and one of finetuning, three steps each
QUICK = SETTINGS.model_copy(
    update={
        "train": TrainConfig(epochs=2, dropout=0.2, mixup=0.2),
        "finetune": QatConfig(epochs=1, frozen_epochs=1, mixup=0.2),
    }
)
TRAINING = tiny_images(60)


def quick(saved: Path, *, resume: bool = False) -> Deployed:
    # A resumed deployment is another process: nothing it starts with may matter.
    torch.manual_seed(99 if resume else 0)
    return deploy(NETWORK, TRAINING, TEST, QUICK, stages(), saved=saved, resume=resume)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return quick(tmp_path_factory.mktemp("whole") / "searched.network.pt")


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (4, {"searched.network.unfinished.pt"}),
        (8, {"searched.network.pt", "searched.network.int8.unfinished.pt"}),
    ],
    ids=["in training", "in finetuning"],
)
def test_a_deployment_that_was_interrupted_goes_on_bit_for_bit(
    step: int, left: set[str], whole: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    saved, steps, before = tmp_path / "searched.network.pt", count(1), Checkpoints.step

    def stop(checkpoints: Checkpoints, state: Callable[[], State]) -> None:
        if next(steps) == step:
            checkpoints._signal = "SIGTERM"
        before(checkpoints, state)

    monkeypatch.setattr(Checkpoints, "step", stop)
    with pytest.raises(Stopped):
        quick(saved)
    assert {path.name for path in tmp_path.iterdir()} == left
    resumed = quick(saved, resume=True)
    assert resumed.files == whole.files
    assert resumed.accuracy_float == whole.accuracy_float
    assert [path.name for path in tmp_path.iterdir()] == [saved.name]


def test_a_deployment_that_ended_is_not_trained_again(whole: Deployed, tmp_path: Path) -> None:
    saved = tmp_path / "searched.network.pt"
    whole.trained.write(saved)
    again = stages()
    found = deploy(NETWORK, TRAINING, TEST, QUICK, again, saved=saved, resume=True)
    assert list(again.seconds) == ["export"]
    assert (found.files, found.accuracy_float) == (whole.files, whole.accuracy_float)
    discard(saved)
    assert list(tmp_path.iterdir()) == []
