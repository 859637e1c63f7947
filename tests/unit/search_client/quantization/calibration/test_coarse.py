"""Networks that 8 bits cannot tell apart are refused by the name of a layer."""

import copy

import pytest

from search_client.networks.layers import FloatNetwork
from search_client.quantization.calibration.coarse import TooCoarse, require_fine
from search_client.quantization.post_training import PtqConfig, quantize_post_training
from tests.unit.search_client.quantization.calibration.networks import (
    CHANNEL,
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


@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_a_channel_that_takes_all_codes_is_named_with_what_helps(
    outlier: FloatNetwork, factor: float
) -> None:
    outlier = with_outlier(copy.deepcopy(outlier), factor)
    quantized = quantize_post_training(outlier, some_batches(), config=PtqConfig(equalise=False))
    with pytest.raises(TooCoarse) as refused:
        require_fine(quantized, outlier, some_batches())
    said = str(refused.value)
    assert (
        f"channel {CHANNEL} of layer 2.project" in said or f"channel {CHANNEL} of layer 3." in said
    )
    for help_ in ("--equalise", "--ranges percentile", "--float-blocks"):
        assert help_ in said


def test_what_helps_helps(outlier: FloatNetwork) -> None:
    equalised = quantize_post_training(outlier, some_batches())
    require_fine(equalised, outlier, some_batches())


def test_ordinary_networks_are_not_refused(model: FloatNetwork) -> None:
    require_fine(quantize_post_training(model, some_batches()), model, some_batches())


def test_dead_layers_are_not_refused(model: FloatNetwork) -> None:
    model = copy.deepcopy(model)
    for name, parameter in model.named_parameters():
        if name.startswith("operators.3.chain.project.norm"):
            parameter.data.zero_()
    require_fine(quantize_post_training(model, some_batches()), model, some_batches())
