import math

import numpy as np
import pytest

from netspec.layers import INPUT, ActivationRange
from netspec.networks import mobilenet_v2
from netspec.operators import Classifier, HeadConv, MBConv, StemConv, named_layers
from netspec.tflite.seeded_weights import MOMENTS, PRE_ACTIVATION_STD, seeded_parameters

STEM = StemConv(input_size=16, in_channels=3, out_channels=16, stride=2)
BLOCK = MBConv(input_size=8, in_channels=16, out_channels=16, expand=3, residual=True)
HEAD = HeadConv(input_size=8, in_channels=16, out_channels=64, activation="relu")
CLASSIFIER = Classifier(input_size=8, in_channels=64, out_channels=10)
CHAIN = (STEM, BLOCK, HEAD, CLASSIFIER)


def test_every_layer_has_weights_and_a_range() -> None:
    parameters = seeded_parameters(CHAIN)
    layers = dict(named_layers(CHAIN))
    assert set(parameters.ranges) == {INPUT, *layers}
    assert set(parameters.weights) == {n for n, layer in layers.items() if layer.has_weights}
    for name, weights in parameters.weights.items():
        assert weights.weight.shape == layers[name].weight_shape
        assert weights.bias.shape == (layers[name].out_channels,)
        assert weights.weight.dtype == weights.bias.dtype == np.float32


def test_ranges_by_hand() -> None:
    # The sum: [-8, 8] + [0, 6], within 4 standard deviations of a variance of 4 + 1.990.
    reach = 4 * math.sqrt(5.990)
    assert seeded_parameters(CHAIN).ranges == {
        "input": ActivationRange(-1, 1),
        "0.conv": ActivationRange(0, 6),
        "1.expand": ActivationRange(0, 6),
        "1.depthwise": ActivationRange(0, 6),
        "1.project": ActivationRange(-8, 8),
        "1.add": ActivationRange(-8, reach),
        "2.conv": ActivationRange(0, 8),
        "3.pool": ActivationRange(0, 8),
        "3.dense": ActivationRange(-8, 8),
    }


def test_an_inner_operator_gets_the_input_of_what_it_follows() -> None:
    assert seeded_parameters((BLOCK,)).ranges[INPUT] == ActivationRange(-8, 8)
    assert seeded_parameters((CLASSIFIER,)).ranges[INPUT] == ActivationRange(0, 6)


def test_weights_have_the_variance_that_keeps_the_outputs() -> None:
    weights = seeded_parameters((CLASSIFIER,), seed=3).weights["0.dense"]
    # 64 inputs of second moment 1.990 give outputs of standard deviation 2.
    assert weights.weight.std() == pytest.approx(2 / math.sqrt(64 * 1.990), rel=0.05)
    assert np.abs(weights.bias).max() <= 0.1
    assert len(np.unique(weights.weight)) > 600


def test_moments_are_those_of_a_rectified_normal_variable() -> None:
    x = np.random.default_rng(0).normal(0, PRE_ACTIVATION_STD, 2_000_000)
    assert np.mean(x**2) == pytest.approx(MOMENTS[None], rel=0.01)
    assert np.mean(np.maximum(x, 0) ** 2) == pytest.approx(MOMENTS["relu"], rel=0.01)
    assert np.mean(np.clip(x, 0, 6) ** 2) == pytest.approx(MOMENTS["relu6"], rel=0.01)


def test_first_numbers_of_a_stream_are_fixed() -> None:
    bias = seeded_parameters((CLASSIFIER,), seed=0).weights["0.dense"].bias
    assert bias[:3].tolist() == pytest.approx([-0.04431921, -0.07533677, 0.02439271], abs=1e-8)


def test_seed_decides_and_repeats() -> None:
    def numbers(seed: int) -> bytes:
        return b"".join(w.weight.tobytes() for w in seeded_parameters(CHAIN, seed).weights.values())

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_a_layer_keeps_its_weights_when_another_changes() -> None:
    wider = STEM.model_copy(update={"kernel": 5})
    before, after = seeded_parameters(CHAIN), seeded_parameters((wider, *CHAIN[1:]))
    for name in before.weights:
        same = np.array_equal(before.weights[name].weight, after.weights[name].weight)
        assert same == (name != "0.conv")


def test_layers_of_one_shape_differ() -> None:
    weights = seeded_parameters((BLOCK, BLOCK)).weights
    assert not np.array_equal(weights["0.project"].weight, weights["1.project"].weight)


def test_no_range_grows_out_of_bounds_in_a_deep_network() -> None:
    ranges = seeded_parameters(mobilenet_v2(96, 0.35).operators).ranges
    assert max(held.high for held in ranges.values()) < 20
    assert all(held.low <= 0 < held.high for held in ranges.values())
