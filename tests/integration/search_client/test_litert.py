"""Files run by LiteRT against the networks in torch that they came from."""

import numpy as np
import pytest
import torch
from torch import nn

from netspec.layers import Parameters, named_layers
from netspec.operators import Precision
from netspec.quantization import affine_of
from netspec.tflite import encode
from search_client.batches import PlainBatches
from search_client.litert import TFLiteClassifier
from search_client.modules import FloatNetwork, folded_parameters
from search_client.qat import calibrate
from search_client.quantize import QuantizedNetwork
from tests.unit.search_client.tiny import tiny_images, tiny_space

NETWORK = tiny_space().network([0, 3])
IMAGES = 30


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Normalised [N, 3, H, W]."""
    return next(iter(PlainBatches(tiny_images(IMAGES), NETWORK.input_size, IMAGES)))[0]


@pytest.fixture(scope="module")
def float_network(images: torch.Tensor) -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(NETWORK).train()
    with torch.no_grad():
        for _ in range(20):  # running statistics
            model(images)
        # An untrained classifier's logits are hardly above 0.
        next(one for one in model.modules() if isinstance(one, nn.Linear)).weight.mul_(50)
    return model.eval()


def logits(model: nn.Module, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(model(images).numpy())


def file_logits(classifier: TFLiteClassifier, images: torch.Tensor) -> np.ndarray:
    counted: list[int] = []
    found = classifier.logits(images.permute(0, 2, 3, 1).contiguous().numpy(), counted.append)
    assert counted == list(range(1, len(images) + 1))
    return found


def encoded(precision: Precision, parameters: Parameters) -> TFLiteClassifier:
    return TFLiteClassifier(encode(NETWORK.with_precision(precision).operators, parameters))


def test_a_float32_file_gives_the_logits_of_torch(
    float_network: FloatNetwork, images: torch.Tensor
) -> None:
    classifier = encoded("float32", Parameters(folded_parameters(float_network), {}))
    assert classifier.output_scale is None
    of_torch = logits(float_network, images)
    assert np.ptp(of_torch) > 0.1
    np.testing.assert_allclose(file_logits(classifier, images), of_torch, atol=1e-4)


def test_an_int8_file_gives_the_dequantized_logits_of_fake_quantization(
    float_network: FloatNetwork, images: torch.Tensor
) -> None:
    quantized = QuantizedNetwork.from_float(float_network)
    calibrate(quantized, [(images, torch.zeros(len(images)))])
    quantized.eval()
    parameters = quantized.parameters_for_export()
    classifier = encoded("int8", parameters)
    output = named_layers(NETWORK.with_precision("int8").operators)[-1][0]
    scale = affine_of(parameters.ranges[output]).scale
    assert classifier.output_scale == pytest.approx(scale)
    of_torch = logits(quantized, images)
    # Enough codes in use, so that two steps are little.
    assert np.ptp(of_torch) > 100 * scale
    of_file = file_logits(classifier, images)
    assert np.abs(of_file - of_torch).max() <= 2.01 * scale
