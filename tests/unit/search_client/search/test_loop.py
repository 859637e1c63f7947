"""The schedules of the two phases, and the images that each kind of step sees."""

from __future__ import annotations

import math

import pytest
import torch

from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.data.folders import ImageSet
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import Linear
from search_client.latency.objective import Goal
from search_client.recipe import Recipe
from search_client.search import progress
from search_client.search.config import SearchConfig
from search_client.search.history import SearchStep
from search_client.search.loop import Search
from search_client.stages.search import batches_of
from search_client.supernet.variants import Family
from search_client.training.checkpoints import Checkpoints
from tests.unit.search_client.tiny import tiny_images, tiny_space


def test_each_phase_has_a_cosine_and_momentum_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "REPORT_S", 0.0)
    rates: list[float] = []
    optimizers: set[int] = set()
    seen: list[SearchStep] = []

    def follow(step: SearchStep) -> None:
        (group,) = run.optimizer.param_groups
        rates.append(group["lr"])
        optimizers.add(id(run.optimizer))
        seen.append(step)

    config = SearchConfig(
        latency_loss=Linear(),
        gradient="full_v2",
        warmup_epochs=2,
        warmup_learning_rate=0.08,
        joint_epochs=2,
        joint_learning_rate=0.02,
    )
    costs = torch.zeros(2, 7)
    run = Search(
        Family(tiny_space()),
        Goal.single(ExpectedLatency(1.0, costs), 1.0),
        TrainingBatches(tiny_images(16), 16, 8, seed=0),
        PlainBatches(tiny_images(8), 16, 8),
        config,
        follow,
    )
    run.run(Checkpoints(None))
    falls = [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert rates == pytest.approx([*(0.08 * one for one in falls), *(0.02 * one for one in falls)])
    assert len(optimizers) == 2
    assert [step.weight_steps for step in seen] == list(range(1, 9))


def test_architecture_steps_see_a_share_of_each_class_that_weight_steps_never_see() -> None:
    images = torch.arange(60, dtype=torch.uint8).reshape(60, 1, 1, 1).expand(60, 3, 18, 18)
    data = ImageSet(images.contiguous(), torch.arange(60) % 3, ("a", "b", "c"))
    settings = Recipe(batch_size=6, held_out=0.3).model_copy(update={"space": tiny_space()})
    training, held_out = batches_of(settings, data, 16)
    shown = [
        {int(one[0, 0, 0]) for one in next(batches.data.read([torch.arange(len(batches.data))]))}
        for batches in (training, held_out)
    ]
    assert shown[0].isdisjoint(shown[1])
    assert shown[0] | shown[1] == set(range(60))
    assert torch.bincount(held_out.data.labels).tolist() == [6, 6, 6]
    assert (len(training), len(held_out)) == (7, 3)
