import math
from typing import cast

import pytest
import torch
from torch import nn

from netspec.operators import Bottleneck
from netspec.spaces import Space
from search_client.networks.layers import FloatNetwork, OperatorModule
from search_client.supernet.supernet import Supernet, align, frozen_statistics
from tests.unit.search_client.tiny import tiny_space

ZERO = 6


def test_choices_that_a_block_lacks_have_no_probability() -> None:
    supernet = Supernet(tiny_space())
    probabilities = supernet.probabilities()
    assert probabilities.shape == (2, 7)
    assert probabilities[0, ZERO] == 0
    assert probabilities[1, ZERO] > 0
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(2))


def test_entropy_is_the_mean_over_blocks_and_has_a_finite_gradient() -> None:
    supernet = Supernet(tiny_space())
    with torch.no_grad():
        supernet.alpha.zero_()
    # six equal choices in the first block, seven in the second
    assert supernet.entropy().item() == pytest.approx((math.log(6) + math.log(7)) / 2, abs=1e-6)
    (gradient,) = torch.autograd.grad(supernet.entropy(), [supernet.alpha])
    assert gradient.abs().max().item() < 1e-6


def test_first_alphas_are_small_and_not_equal() -> None:
    torch.manual_seed(0)
    alpha = Supernet(Space()).alpha
    assert alpha.shape == (21, 7)
    assert 5e-4 < alpha.std().item() < 2e-3


def test_weights_are_all_parameters_but_alpha() -> None:
    supernet = Supernet(tiny_space())
    weights = list(supernet.weights())
    assert len(weights) == len(list(supernet.parameters())) - 1
    assert all(weight is not supernet.alpha for weight in weights)


def test_most_likely_never_names_a_choice_that_a_block_lacks() -> None:
    supernet = Supernet(tiny_space())
    with torch.no_grad():
        supernet.alpha.fill_(-1.0)
        supernet.alpha[0, ZERO] = 5.0
        supernet.alpha[0, 2] = 0.0
        supernet.alpha[1, ZERO] = 0.0
    assert supernet.most_likely() == [2, ZERO]


def test_a_path_computes_what_its_network_computes() -> None:
    supernet = Supernet(tiny_space()).eval()
    for path in ([0, 3], [5, ZERO]):
        network = FloatNetwork(supernet.space.network(path)).eval()
        taken = [*supernet.start]
        for block, choice in zip(supernet.blocks, path, strict=True):
            assert isinstance(block, nn.ModuleList)
            taken += [block[choice]] if choice < ZERO else []
        for mine, theirs in zip(network.operators, [*taken, *supernet.end], strict=True):
            mine.load_state_dict(theirs.state_dict())
        images = torch.randn(2, 3, 16, 16)
        assert torch.equal(supernet(images, path), network(images))


def test_zero_passes_its_input_on() -> None:
    supernet = Supernet(tiny_space())
    _, boundaries = supernet.trace(torch.randn(2, 3, 16, 16), [0, ZERO])
    assert len(boundaries) == 3
    assert boundaries[2] is boundaries[1]


def test_only_the_sampled_path_gets_gradients() -> None:
    supernet = Supernet(tiny_space())
    supernet(torch.randn(2, 3, 16, 16), [1, 4]).sum().backward()
    for index, active in enumerate([1, 4]):
        block = supernet.blocks[index]
        assert isinstance(block, nn.ModuleList)
        for choice, candidate in enumerate(block):
            held = [parameter.grad is not None for parameter in candidate.parameters()]
            assert all(held) if choice == active else not any(held)
    assert supernet.alpha.grad is None


def test_frozen_statistics_normalise_by_the_batch_and_leave_no_trace() -> None:
    supernet = Supernet(tiny_space()).train()
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    images = torch.randn(4, 3, 16, 16)
    plain = supernet(images, [0, 0])
    assert not torch.equal(
        before["start.0.chain.conv.norm.running_mean"],
        supernet.state_dict()["start.0.chain.conv.norm.running_mean"],
    )
    supernet.load_state_dict(before)
    with frozen_statistics(supernet):
        assert torch.equal(supernet(images, [0, 0]), plain)
    after = supernet.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(m.track_running_stats for m in supernet.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("expands", [(3, 6), (1, 3)])
def test_candidates_begin_as_one_function_but_can_part(expands: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    space = tiny_space()
    supernet = Supernet(Space(**{**space.model_dump(), "expands": expands})).train()
    candidates = cast("nn.ModuleList", supernet.blocks[0])
    x = torch.randn(4, 8, 8, 8)
    outputs = [candidate(x) for candidate in candidates]
    for first, output in zip(outputs[: len(expands)] * 3, outputs, strict=True):
        assert torch.allclose(output, first, atol=1e-4)
    alike = torch.allclose(outputs[0], outputs[1], atol=1e-4)
    assert alike == (expands == (3, 6))
    (outputs[-1] * torch.randn(4, 8, 4, 4)).sum().backward()
    largest = candidates[-1].get_submodule("chain")
    ring = largest.get_parameter("depthwise.weight").grad
    assert ring is not None
    assert (ring[:, :, 0] != 0).any()
    added = largest.get_parameter("project.weight").grad
    assert added is not None
    assert (added[:, -1] != 0).any()


def test_candidates_of_the_same_layers_begin_as_one_function_whatever_they_are() -> None:
    torch.manual_seed(0)
    shape = {"input_size": 8, "in_channels": 8, "out_channels": 12, "activation": "relu"}
    candidates = [
        OperatorModule(Bottleneck.model_validate({**shape, **fields}))
        for fields in (
            {"kernel": 3, "middle": 16, "squeeze": 4},
            {"kernel": 7, "middle": 24, "squeeze": 8},
            {"kernel": 3, "middle": 16},
        )
    ]
    before = [parameter.clone() for parameter in candidates[2].parameters()]
    align(candidates)
    x = torch.randn(4, 8, 8, 8)
    small, large, other = (candidate.train()(x) for candidate in candidates)
    assert torch.allclose(small, large, atol=1e-4)
    assert not torch.allclose(small, other, atol=1e-2)
    assert all(map(torch.equal, before, candidates[2].parameters()))
