import pytest
import torch

from netspec.errors import MissingEntries
from netspec.spaces import Space, Stage
from search_client.latency.expected import ExpectedLatency

SPACE = Space(
    input_size=16,
    width=0.25,
    classes=3,
    stages=(Stage(channels=24, depth=2, stride=2),),
    kernels=(3, 5),
    expands=(3,),
)


def test_expected_latency_of_hand_computed_probabilities() -> None:
    latency = ExpectedLatency(
        fixed_ms=10.0,
        costs_ms=torch.tensor([[1.0, 3.0, 0.0], [2.0, 4.0, 0.0]]),
        scale=2.0,
        intercept_ms=0.5,
    )
    probabilities = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]])
    # fixed 10, blocks 0.5 + 1.5 and 0.5 + 1; twice that, and 0.5
    assert latency(probabilities).item() == pytest.approx(27.5)


def test_gradient_to_a_probability_is_its_calibrated_cost() -> None:
    costs = torch.tensor([[1.0, 3.0, 0.0]])
    probabilities = torch.full((1, 3), 1 / 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        ExpectedLatency(10.0, costs, scale=2.0)(probabilities), probabilities
    )
    assert torch.allclose(gradient, 2 * costs)


def test_one_hot_probabilities_give_the_sum_of_the_networks_entries() -> None:
    entries = {operator.key: float(2**i) for i, operator in enumerate(SPACE.operators())}
    latency = ExpectedLatency.of_space(SPACE, entries, "a target")
    for path in ([0, 0], [1, 1], [1, 2]):
        one_hot = torch.nn.functional.one_hot(torch.tensor(path), 3).float()
        network = SPACE.network(path)
        assert latency(one_hot).item() == sum(entries[part.key] for part in network.operators)


def test_every_missing_operator_is_named() -> None:
    operators = SPACE.operators()
    entries = {operator.key: 1.0 for operator in operators[2:]}
    with pytest.raises(MissingEntries, match="pixel lacks 2 operators") as caught:
        ExpectedLatency.of_space(SPACE, entries, "pixel")
    assert caught.value.keys == tuple(sorted(operator.key for operator in operators[:2]))
