"""Channels made alike: the same function, and no channel takes all codes."""

import copy

import pytest
import torch

from search_client.networks.layers import FloatNetwork
from search_client.quantization.calibration.equalisation import equalised
from search_client.quantization.post_training import PtqConfig, quantize_post_training
from tests.unit.search_client.quantization.calibration.networks import (
    images,
    layer,
    some_batches,
    trained,
    with_outlier,
)


@pytest.fixture(scope="module")
def model() -> FloatNetwork:
    return trained()


@pytest.fixture(scope="module")
def outlier(model: FloatNetwork) -> FloatNetwork:
    return with_outlier(copy.deepcopy(model))


def distance(model: FloatNetwork, config: PtqConfig, wanted: torch.Tensor) -> float:
    """How far int8 logits are from the float ones, over their deviation."""
    found = quantize_post_training(model, some_batches(), config=config).eval()(images())
    return float((found - wanted).square().mean().sqrt() / wanted.std())


@torch.no_grad()
def test_the_function_stays(model: FloatNetwork, outlier: FloatNetwork) -> None:
    wanted = model(images())
    torch.testing.assert_close(outlier(images()), wanted, rtol=1e-4, atol=1e-4)
    for given in (model, outlier):
        before = copy.deepcopy(given.state_dict())
        found = equalised(given, some_batches())
        torch.testing.assert_close(found(images()), wanted, rtol=1e-3, atol=1e-3)
        assert all(torch.equal(before[name], value) for name, value in given.state_dict().items())


@torch.no_grad()
def test_a_channel_of_200_times_the_others_costs_nothing_once_equalised(
    model: FloatNetwork, outlier: FloatNetwork
) -> None:
    wanted = model(images())
    plain = distance(outlier, PtqConfig(equalise=False), wanted)
    helped = distance(outlier, PtqConfig(equalise=True), wanted)
    unhurt = distance(model, PtqConfig(equalise=True), wanted)
    assert helped < 0.5 * plain
    assert helped == pytest.approx(unhurt, rel=0.3)


@torch.no_grad()
def test_what_saturates_alike_for_all_channels_is_left(model: FloatNetwork) -> None:
    found = equalised(model, some_batches())
    for name in ("expand", "depthwise"):
        assert torch.equal(layer(found, 2, name).norm.bias, layer(model, 2, name).norm.bias)
    assert not torch.equal(
        layer(found, 2, "project").norm.bias, layer(model, 2, "project").norm.bias
    )
