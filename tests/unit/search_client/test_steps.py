import pytest
import torch
from torch import nn
from torch.nn import functional

from search_client.steps import Mean, WeightConfig, evaluate, weight_step

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [1.0, 0.0]])


def test_mean_weighs_batches_by_their_images() -> None:
    mean = Mean()
    mean.add(LOGITS[:3], torch.tensor([0, 1, 1]), torch.tensor(1.0))
    mean.add(LOGITS[3:], torch.tensor([0]), torch.tensor(5.0))
    assert (mean.loss, mean.accuracy) == (2.0, 0.75)


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
