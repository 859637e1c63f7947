"""Training that starts from a supernet's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from netspec.errors import UserError
from netspec.networks import mobilenet_v2
from search_client.data.batches import TrainingBatches
from search_client.recipe import Recipe
from search_client.runs.load import LoadedRun, read_run
from search_client.search.candidates import candidate_of
from search_client.stages.inherit import inherit
from search_client.stages.train import train_network
from search_client.training.checkpoints import BadCheckpoint
from search_client.training.loop import InheritConfig, TrainConfig
from tests.unit.search_client.tiny import tiny_images
from tests.unit.search_client.tiny_run import QUIET, SETTINGS, changed, tiny_search

IMAGES = tiny_images(48)


def _searched(folder: Path, weights: Literal["separate", "shared"], **train: object) -> LoadedRun:
    settings = changed(
        sizes=(16, 24),
        search={**SETTINGS.search.model_dump(), "weights": weights},
        train={**SETTINGS.train.model_dump(), **train},
    )
    tiny_search(folder, settings)
    return read_run(folder)


def _batches(settings: Recipe, size: int) -> TrainingBatches:
    return TrainingBatches(IMAGES, size, settings.batch_size, seed=0)


@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_a_network_begins_as_the_supernets_path(
    tmp_path: Path, weights: Literal["separate", "shared"]
) -> None:
    run = _searched(tmp_path, weights)
    found = run.record.found
    assert found is not None
    network = found.network.with_precision("float32")
    model = inherit(run, network, _batches(SETTINGS, network.input_size), SETTINGS).model
    assert model.network == network
    assert not model.training
    images = torch.randn(8, 3, network.input_size, network.input_size)
    candidate = run.candidate(network)
    with torch.no_grad():
        # Normalised by the batch, which is all that shared weights know.
        expected = run.family.train()(candidate.variant, images, candidate.choices)
        assert torch.allclose(model.train()(images), expected, atol=1e-4)
    # The statistics are this network's own: nothing is normalised by those of all paths.
    again = inherit(run, network, _batches(SETTINGS, network.input_size), SETTINGS).model
    (first, *_) = [one for one in again.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert first.num_batches_tracked == len(_batches(SETTINGS, network.input_size))


def test_every_network_of_the_space_finds_its_choices(tmp_path: Path) -> None:
    family = _searched(tmp_path, "shared").family
    rng = np.random.default_rng(0)
    for _ in range(40):
        variant = int(rng.integers(len(family.variants)))
        blocks = family.variants[variant].space.blocks
        network = family.network(variant, [int(rng.integers(block.choices)) for block in blocks])
        candidate = candidate_of(family, network.with_precision("float32"))
        assert candidate is not None
        assert candidate.variant == variant
        assert family.network(*candidate).operators == network.operators
    assert candidate_of(family, mobilenet_v2(16, 0.25, 3, "int8")) is None


def test_inheriting_takes_a_share_of_the_epochs_and_smaller_steps() -> None:
    config = TrainConfig(epochs=10, rising_epochs=4, learning_rate=0.08)
    shorter = config.inheriting()
    assert (shorter.epochs, shorter.rising_epochs, shorter.learning_rate) == (3, 2, 0.04)
    whole = InheritConfig(epochs_share=1.0, learning_rate_share=1.0)
    assert config.model_copy(update={"inherit": whole}).inheriting().epochs == 10


def test_the_largest_network_teaches_the_one_that_inherits(tmp_path: Path) -> None:
    run = _searched(tmp_path, "shared")
    assert run.record.found is not None
    network = run.record.found.network.with_precision("float32")
    batches = _batches(SETTINGS, network.input_size)
    images, labels = next(iter(batches))
    losses = []
    for share in (0.0, 0.5, 1.0):
        settings = changed(
            train={**SETTINGS.train.model_dump(), "inherit": {"distillation": share}}
        )
        change = inherit(run, network, batches, settings).change
        assert (change is None) == (share == 0.0)
        logits = torch.nn.functional.one_hot(labels, 3).float()
        losses.append(2.0 if change is None else float(change(torch.tensor(2.0), images, logits)))
    assert losses[1] == pytest.approx((losses[0] + losses[2]) / 2)
    assert losses[0] != losses[2]


def test_a_network_of_another_space_has_no_weights_to_inherit(tmp_path: Path) -> None:
    run = _searched(tmp_path, "separate")
    other = mobilenet_v2(16, 0.25, 3, "float32")
    with pytest.raises(UserError, match="no network of the space that was searched"):
        train_network(other, IMAGES, IMAGES, SETTINGS, QUIET, supernet=run)


def test_an_inheriting_training_is_not_resumed_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many epochs and steps as from scratch, so that only the weights differ.
    same = InheritConfig(epochs_share=1.0, learning_rate_share=1.0).model_dump()
    run = _searched(tmp_path, "separate", inherit=same, epochs=2)
    assert run.record.found is not None
    network, settings = run.record.found.network.with_precision("float32"), run.record.settings
    file = tmp_path / "float.network.pt"

    shown = iter([0.5])
    with monkeypatch.context() as patch:
        # Evaluated before and after its training, which leaves a checkpoint at every step.
        patch.setattr("search_client.stages.train.accuracy_of", lambda *_: next(shown))
        often = settings.model_copy(update={"checkpoint_minutes": 1e-9})
        with pytest.raises(StopIteration):
            train_network(network, IMAGES, IMAGES, often, QUIET, weights=file, supernet=run)
    with pytest.raises(BadCheckpoint, match="began from other weights"):
        train_network(network, IMAGES, IMAGES, settings, QUIET, weights=file, resume=True)
    _, accuracy = train_network(
        network, IMAGES, IMAGES, settings, QUIET, weights=file, resume=True, supernet=run
    )
    assert 0 <= accuracy <= 1
