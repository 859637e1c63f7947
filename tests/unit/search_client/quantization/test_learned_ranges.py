"""Ranges that are learned: gradients by hand, and finetunings that end in files."""

import pytest
import torch
from torch import Tensor

from search_client.data.batches import TrainingBatches
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.ranges import FakeQuantizedActivation
from tests.unit.search_client.tiny import tiny_images, tiny_space

BATCHES = TrainingBatches(tiny_images(64), 16, 16, seed=0)


def learned(low: float, high: float, activation: str | None = None) -> FakeQuantizedActivation:
    made = FakeQuantizedActivation(activation)  # type: ignore[arg-type]
    made.low.fill_(low)
    made.high.fill_(high)
    made.learn()
    return made


def moved_by(module: FakeQuantizedActivation, x: list[float]) -> tuple[float, float, Tensor]:
    """The gradients of low and high, without their pace, and of x, where each output counts 1."""
    given = torch.tensor(x, requires_grad=True)
    module(given).values.sum().backward()
    # an end's gradient is one of 255 parts of a step's, and its way 255 times as long
    pace = 255**2 * (len(x) * 255) ** -0.5
    low, high = module.low.grad, module.high.grad
    assert low is not None
    assert high is not None
    assert given.grad is not None
    return low.item() / pace, high.item() / pace, given.grad


def test_gradients_are_those_of_the_paper() -> None:
    # a step of 1: codes are whole numbers
    low, high, of_x = moved_by(learned(-128.0, 127.0), [2.3, -400.0, 300.0, 301.0])
    assert of_x.tolist() == [1, 0, 0, 0]
    error = (2 - 2.3) / 255
    assert high == pytest.approx(2 + error, rel=1e-4)
    assert low == pytest.approx(1 - error, rel=1e-4)


def test_what_an_activation_cuts_off_moves_no_end() -> None:
    low, high, of_x = moved_by(learned(0.0, 6.0, "relu6"), [-5.0, 9.0, 2.4])
    assert of_x.tolist() == [0, 0, 1]
    assert low == pytest.approx(0, abs=1e-4)
    assert high == pytest.approx(0, abs=1e-4)


def test_a_range_beyond_the_activation_is_that_of_the_file() -> None:
    module = learned(-1.0, 8.0, "relu6")
    held = module.observed()
    assert (held.low, held.high) == (0, 6)
    assert module(torch.tensor([7.0])).values.item() == pytest.approx(6)


def test_learning_ends_where_rounding_costs_least() -> None:
    x = torch.linspace(-1, 1, 401)
    module = learned(-16.0, 16.0)
    optimizer = torch.optim.Adam(module.parameters(), 0.6)
    slower = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    errors = []
    for _ in range(200):
        optimizer.zero_grad()
        error = (module(x).values - x).square().sum()
        error.backward()
        optimizer.step()
        slower.step()
        errors.append(error.item())
    assert errors[-1] < 0.05 * errors[0]
    assert 0.9 < module.observed().high < 2


def test_a_finetuning_learns_ranges_to_its_end() -> None:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([1, 2]))
    for images, _ in BATCHES:
        model(images)
    config = QatConfig(
        epochs=2, norm_epochs=1, frozen_epochs=1, learning_rate=0.1, learn_ranges=True
    )
    seen: list[bool] = []

    def watch(_step: object) -> None:
        seen.append(True)

    network, _ = finetune_int8(model.eval(), BATCHES, config, watch)
    assert seen
    plain = finetune_int8(model, BATCHES, config.model_copy(update={"learn_ranges": False}), watch)
    assert network.parameters_for_export().ranges != plain[0].parameters_for_export().ranges
    assert not any(name.endswith((".low", ".high")) for name, _ in network.named_parameters())
    # It is written and read as any other, and rounds as its file does.
    again = QuantizedNetwork.from_float(model)
    again.load_state_dict(network.state_dict())
    assert again.parameters_for_export().ranges == network.parameters_for_export().ranges
    images, _ = next(iter(BATCHES))
    with torch.no_grad():
        assert torch.equal(again.eval()(images), network.eval()(images))


def test_what_was_learned_beyond_an_activation_is_settled_within_it() -> None:
    module = learned(0.5, 8.0, "relu6")
    module.settle()
    assert not list(module.parameters())
    assert (module.low.item(), module.high.item()) == (0, 6)
    assert module(torch.tensor([7.0])).values.item() == pytest.approx(6)
