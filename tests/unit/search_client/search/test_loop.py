"""The schedules of the two phases, and the images that each kind of step sees."""

from __future__ import annotations

import math

import pytest
import torch

from search_client.data.batches import Batch, PlainBatches, TrainingBatches
from search_client.data.folders import ImageSet
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import Linear
from search_client.latency.objective import Goal
from search_client.recipe import Recipe
from search_client.search import progress
from search_client.search.architecture_step import StepOutcome
from search_client.search.config import SearchConfig
from search_client.search.history import SearchStep
from search_client.search.loop import Search
from search_client.search.sampling import extreme
from search_client.stages.search import batches_of
from search_client.supernet.variants import Family
from search_client.training.checkpoints import Checkpoints
from search_client.training.step import NotFinite
from tests.unit.search_client.tiny import BreakingBatches, tiny_images, tiny_space


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
        {int(one[0, 0, 0]) for one in next(batches.data.read([torch.arange(len(batches.data))]))[0]}
        for batches in (training, held_out)
    ]
    assert shown[0].isdisjoint(shown[1])
    assert shown[0] | shown[1] == set(range(60))
    assert torch.bincount(held_out.data.labels).tolist() == [6, 6, 6]
    assert (len(training), len(held_out)) == (7, 3)


def _breaking_search(times: int, told: list[str]) -> Search:
    config = SearchConfig(
        latency_loss=Linear(),
        warmup_epochs=2,
        warmup_learning_rate=0.08,
        joint_epochs=2,
        joint_learning_rate=0.02,
        weight_steps_per_architecture_step=1,
        architecture_batches=2,
    )
    torch.manual_seed(0)
    return Search(
        Family(tiny_space()),
        Goal.single(ExpectedLatency(1.0, torch.ones(2, 7)), 1.0),
        BreakingBatches(times),
        PlainBatches(tiny_images(16), 16, 8, shuffle_seed=0),
        config,
        tell=told.append,
    )


@pytest.mark.parametrize("times", [1, 3])
def test_a_search_goes_back_to_its_last_good_step_with_half_the_learning_rate(times: int) -> None:
    told: list[str] = []
    run = _breaking_search(times, told)
    run.run(Checkpoints(None))
    assert len(told) == times
    assert "after 5 weight steps, in the warm-up" in told[0]
    assert run.history.went_back == [5] * times
    assert run.rollback.rate == 0.5**times
    # Two epochs of each phase, three steps each, as if nothing had been.
    assert run.weight_steps == 12
    assert [epoch.weight_steps for epoch in run.history.epochs] == [3, 6, 9, 12]
    assert all(math.isfinite(epoch.loss) for epoch in run.history.epochs)
    assert run.state()["went_back"] == times
    (group,) = run.optimizer.param_groups
    assert group["momentum"] == 0.9


def test_a_search_that_went_back_three_times_ends() -> None:
    run = _breaking_search(4, [])
    with pytest.raises(NotFinite, match="tried 3 times more from the last good step") as raised:
        run.run(Checkpoints(None))
    assert raised.value.exit_code == 4


def test_entropy_counts_in_the_last_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[float] = []
    run = _breaking_search(0, [])
    run.config = run.config.model_copy(update={"entropy_weight": 2.0, "entropy_from": 0.75})
    step = run.architecture.step

    def follow(batches: list[Batch], generator: torch.Generator, weight: float) -> StepOutcome:
        weights.append(weight)
        assert len(batches) == 2
        return step(batches, generator, weight)

    monkeypatch.setattr(run.architecture, "step", follow)
    run.run(Checkpoints(None))
    # After 4, 5 and 6 of 6 weight steps: from 4.5 on.
    assert weights == pytest.approx([0.0, 2.0 / 3.0, 2.0])


def test_an_architecture_step_reads_the_next_held_out_batches() -> None:
    run = _breaking_search(0, [])
    read = [run._held_out_batch(number)[1] for number in range(4)]
    whole = [labels for number in range(2) for _, labels in run.held_out.epoch(number)]
    assert all(one.equal(other) for one, other in zip(read, whole, strict=True))


def test_the_largest_network_trains_alone_at_first() -> None:
    run = _breaking_search(0, [])
    run.config = run.config.model_copy(update={"largest_epochs": 1})
    largest = extreme(run.family, largest=True)
    assert run._paths() == [largest]
    run.position.epoch = 1
    assert {tuple(path.choices) for _ in range(20) for path in run._paths()} != {largest.choices}
    run.position.epoch, run.position.phase = 0, 1
    assert {tuple(path.choices) for _ in range(20) for path in run._paths()} != {largest.choices}
