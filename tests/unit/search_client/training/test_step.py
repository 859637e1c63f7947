import math
from typing import cast

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_client.training.step import (
    Mean,
    Mixed,
    WeightConfig,
    evaluate,
    weight_step,
)

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [1.0, 0.0]])


def test_mean_weighs_batches_by_their_images() -> None:
    mean = Mean()
    mean.add(LOGITS[:3], torch.tensor([0, 1, 1]), torch.tensor(1.0))
    mean.add(LOGITS[3:], torch.tensor([0]), torch.tensor(5.0))
    assert (mean.loss, mean.accuracy) == (2.0, 0.75)


@pytest.mark.parametrize(("loss", "lost"), [(9.0, False), (2e6, True), (math.nan, True)])
def test_a_mean_tells_a_loss_that_nothing_comes_back_from(loss: float, lost: bool) -> None:
    mean = Mean()
    mean.add(LOGITS[:1], torch.tensor([0]), torch.tensor(loss))
    assert mean.is_lost == lost


def test_accuracy_is_taken_in_evaluation_mode() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(1.0))
    assert isinstance(model[0], nn.Linear)
    nn.init.eye_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    batches = [(LOGITS[:3], torch.tensor([0, 1, 1])), (LOGITS[3:], torch.tensor([0]))]
    assert evaluate(model.train(), batches) == 0.75


def test_a_weight_step_is_nesterovs_on_the_smoothed_loss() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(2, 2, bias=False)
    before = layer.weight.detach().clone()
    images, labels = torch.tensor([[1.0, 2.0]]), torch.tensor([1])
    probabilities = torch.softmax(before @ images[0], dim=0)
    smoothed = torch.tensor([0.05, 0.95])
    gradient = torch.outer(probabilities - smoothed, images[0]) + 4e-5 * before
    optimizer = WeightConfig().optimizer(layer.parameters())
    optimizer.param_groups[0]["lr"] = 0.1
    mean = Mean()
    weight_step(layer, (images, labels), optimizer, WeightConfig(), mean)
    # the first step of Nesterov's momentum 0.9 moves by 1.9 gradients
    assert torch.allclose(layer.weight, before - 0.1 * 1.9 * gradient, atol=1e-6)
    wanted = functional.cross_entropy(images @ before.T, labels, label_smoothing=0.1)
    assert mean.loss == pytest.approx(wanted.item())


def test_weights_that_did_not_run_keep_still_despite_momentum_and_decay() -> None:
    used, other = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = WeightConfig().optimizer([*used.parameters(), *other.parameters()])
    optimizer.param_groups[0]["lr"] = 0.1
    batch = torch.ones(1, 2), torch.tensor([0])
    weight_step(other, batch, optimizer, WeightConfig(), Mean())
    before = other.weight.detach().clone()
    weight_step(used, batch, optimizer, WeightConfig(), Mean())
    assert torch.equal(other.weight, before)


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_micro_batches_give_the_whole_batchs_step(parts: int) -> None:
    torch.manual_seed(0)
    whole, split = nn.Linear(2, 2), nn.Linear(2, 2)
    split.load_state_dict(whole.state_dict())
    batch = LOGITS, torch.tensor([0, 1, 1, 0])
    means = {}
    for layer, count in ((whole, 1), (split, parts)):
        config = WeightConfig(micro_batches=count)
        optimizer = config.optimizer(layer.parameters())
        optimizer.param_groups[0]["lr"] = 0.1
        mean = means[count] = Mean()
        weight_step(layer, batch, optimizer, config, mean)
        assert mean.images == 4
    assert torch.allclose(split.weight, whole.weight, atol=1e-6)
    assert means[parts].loss == pytest.approx(means[1].loss)


def test_images_are_counted_as_often_as_they_were_split() -> None:
    seen: list[int] = []
    layer = nn.Linear(2, 2)

    def run(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return cast("torch.Tensor", layer(images))

    config = WeightConfig(micro_batches=3)
    batch = LOGITS, torch.tensor([0, 1, 1, 0])
    weight_step(run, batch, config.optimizer(layer.parameters()), config, Mean())
    assert seen == [2, 1, 1]


def test_the_loss_of_mixed_images_weighs_both_labels() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])
    mixed = Mixed(others=torch.tensor([0]), share=0.75)
    wanted = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    loss = WeightConfig(label_smoothing=0).mixed_loss(logits, torch.tensor([1]), mixed)
    assert loss.item() == pytest.approx(wanted)


def test_bfloat16_computes_in_it_and_keeps_weights_in_float32() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 1)
    kinds: list[torch.dtype] = []

    def run(images: torch.Tensor) -> torch.Tensor:
        y = layer(images)
        kinds.append(y.dtype)
        return cast("torch.Tensor", y.mean((2, 3)))

    moved = {}
    start = layer.weight.detach().clone()
    for arithmetic in ("float32", "bfloat16"):
        with torch.no_grad():
            layer.weight.copy_(start)
        config = WeightConfig.model_validate({"arithmetic": arithmetic})
        optimizer = config.optimizer(layer.parameters())
        optimizer.param_groups[0]["lr"] = 0.1
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(4, 3, 2, 2, generator=generator)
        weight_step(run, (images, torch.arange(4)), optimizer, config, Mean())
        moved[arithmetic] = layer.weight.detach() - start
    assert kinds == [torch.float32, torch.bfloat16]
    assert layer.weight.dtype == torch.float32
    # bfloat16 keeps 8 bits of a number.
    assert not torch.equal(moved["bfloat16"], moved["float32"])
    assert torch.allclose(moved["bfloat16"], moved["float32"], atol=0.02 * 0.1)
