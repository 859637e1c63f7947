from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netspec.spaces import Space
from search_client.networks.layers import ConvLayer, OperatorModule, channels_last
from search_client.supernet import block_input, inactive_paths
from search_client.supernet.block_input import BlockInput, moments
from search_client.supernet.supernet import Supernet, frozen_statistics
from tests.unit.netspec.operators.examples import EXAMPLES
from tests.unit.search_client.tiny import tiny_space


def test_moments_are_the_mean_and_covariance_over_images_and_places() -> None:
    x = torch.randn(3, 4, 5, 5)
    rows = x.permute(1, 0, 2, 3).reshape(4, -1).double()
    found = moments(channels_last(x))
    assert torch.allclose(found.mean.double(), rows.mean(dim=1), atol=1e-6)
    assert torch.allclose(found.covariance.double(), torch.cov(rows, correction=0), atol=1e-5)


@pytest.mark.parametrize(
    ("group_bytes", "least_places"), [(1, 0), (inactive_paths.GROUP_BYTES, 0), (1, 1000)]
)
@pytest.mark.parametrize("expands", [(3, 6), (1, 3)])
def test_every_candidate_gives_what_its_module_gives(
    monkeypatch: pytest.MonkeyPatch, expands: tuple[int, ...], group_bytes: int, least_places: int
) -> None:
    monkeypatch.setattr(inactive_paths, "GROUP_BYTES", group_bytes)
    monkeypatch.setattr(block_input, "LEAST_PLACES", least_places)
    torch.manual_seed(0)
    space = Space(**{**tiny_space().model_dump(), "expands": expands})
    supernet = Supernet(space).train()
    x = channels_last(torch.randn(4, 8, 8, 8) + 2)
    with torch.no_grad(), frozen_statistics(supernet):
        for block in range(2):
            candidates = cast("nn.ModuleList", supernet.blocks[block])
            for candidate in candidates:
                for parameter in candidate.parameters():
                    parameter.add_(0.1 * torch.randn(parameter.shape))
            modules = [cast("OperatorModule", candidate) for candidate in candidates]
            given = x.clone(memory_format=torch.preserve_format)
            for chosen in (modules, modules[1::2], modules[:1]):
                got = list(inactive_paths.outputs(chosen, BlockInput(given)))
                for output, module in zip(got, chosen, strict=True):
                    assert torch.allclose(output, module(x), atol=2e-4)
            assert torch.equal(given, x)
            x = channels_last(candidates[0](x))


@pytest.mark.parametrize("gain", [-0.5, 0.0, 1e-20])
def test_a_gain_of_any_sign_normalises_alike(gain: float) -> None:
    torch.manual_seed(0)
    supernet = Supernet(tiny_space()).train()
    module = cast("OperatorModule", cast("nn.ModuleList", supernet.blocks[0])[1])
    norm = cast("ConvLayer", module.chain.get_submodule("depthwise")).norm
    x = channels_last(torch.randn(4, 8, 8, 8))
    with torch.no_grad(), frozen_statistics(supernet):
        norm.weight[::2] = gain
        norm.bias.normal_(std=2.0)
        (got,) = inactive_paths.outputs([module], BlockInput(x))
        assert torch.allclose(got, module(x), atol=2e-4)


@pytest.mark.parametrize("name", EXAMPLES)
def test_any_operator_gives_what_its_module_gives(name: str) -> None:
    torch.manual_seed(0)
    modules = [OperatorModule(EXAMPLES[name]).train() for _ in range(2)]
    x = channels_last(torch.randn(4, 8, 9, 9) + 1)
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        got = list(inactive_paths.outputs(modules, BlockInput(x)))
        for output, module in zip(got, modules, strict=True):
            assert torch.allclose(output, module(x), atol=2e-4)


#: operators that can stand in one block: 8 channels of 9 px to the same
_ALIKE = [name for name, one in EXAMPLES.items() if (one.out_channels, one.output_size) == (8, 9)]


@given(names=st.lists(st.sampled_from(_ALIKE), min_size=1, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_mix_of_candidates_gives_what_each_gives_alone(names: list[str], seed: int) -> None:
    torch.manual_seed(seed)
    modules = [OperatorModule(EXAMPLES[name]).train() for name in names]
    x = channels_last(torch.randn(4, 8, 9, 9) + 1)
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        got = list(inactive_paths.outputs(modules, BlockInput(x)))
        assert len(got) == len(modules)
        for output, module in zip(got, modules, strict=True):
            assert torch.allclose(output, module(x), atol=2e-4)


def test_comparing_leaves_no_graph_and_no_trace() -> None:
    supernet = Supernet(tiny_space()).train()
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    x = channels_last(torch.randn(2, 8, 4, 4))
    with frozen_statistics(supernet):
        outputs = list(supernet.compared(1, [0, 5, 6], x))
    assert outputs[2] is x
    assert not any(output.requires_grad for output in outputs)
    after = supernet.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
