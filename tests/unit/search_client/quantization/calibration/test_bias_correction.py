"""Biases that take back the shift of rounding."""

import pytest
import torch
from torch import Tensor

from search_client.networks.layers import FloatNetwork
from search_client.quantization.mixed_precision import with_float_blocks
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.post_training import PtqConfig, quantize_post_training
from tests.unit.search_client.quantization.calibration.networks import (
    images,
    some_batches,
    trained,
)


@pytest.fixture(scope="module")
def model() -> FloatNetwork:
    return trained()


@torch.no_grad()
def sums(network: QuantizedNetwork) -> list[Tensor]:
    """The mean of each channel's sums, a layer each."""
    found: list[Tensor] = []
    for layer in network.layers():
        layer.on_sums = lambda y: found.append(y.transpose(0, 1).flatten(1).mean(1))
    network.eval()(images())
    for layer in network.layers():
        layer.on_sums = None
    return found


@torch.no_grad()
def test_layers_have_the_means_of_float(model: FloatNetwork) -> None:
    float_twin = QuantizedNetwork.from_float(model, model.network)
    wanted = sums(float_twin)
    plain = sums(quantize_post_training(model, some_batches(), config=PtqConfig(equalise=False)))
    config = PtqConfig(equalise=False, correct_bias=True)
    corrected = quantize_post_training(model, some_batches(), config=config)
    shifts = [float((found - want).abs().max()) for found, want in zip(plain, wanted, strict=True)]
    left = [
        float((found - want).abs().max())
        for found, want in zip(sums(corrected), wanted, strict=True)
    ]
    assert max(left) < 0.1 * max(shifts)
    assert all(layer.on_sums is None for layer in corrected.layers())


def test_blocks_in_float_are_left_alone(model: FloatNetwork) -> None:
    mixed = with_float_blocks(model.network, [2])
    config = PtqConfig(equalise=False, correct_bias=True)
    found = quantize_post_training(model, some_batches(), mixed, config)
    kept = [layer for layer in found.layers() if layer.norm is not None and not layer.int8]
    learned = [child.bias for child in model.modules() if isinstance(child, torch.nn.BatchNorm2d)]
    assert kept
    for layer in kept:
        assert layer.norm is not None
        assert any(torch.equal(layer.norm.bias, bias) for bias in learned)
