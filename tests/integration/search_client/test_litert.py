"""Files run by LiteRT against the networks in torch that they came from, on every kernel set."""

import numpy as np
import pytest
import torch

from netspec.layers import Parameters, named_layers
from netspec.quantization import affine_of
from netspec.tflite import FileOptions, encode
from search_client.batches import normalise
from search_client.litert import Kernels, NoClassifier, TFLiteClassifier
from search_client.modules import FloatNetwork, folded_parameters
from search_client.ptq import quantize_post_training
from search_client.quantize import QuantizedNetwork
from search_client.verify import KERNEL_SETS, to_pixels, torch_logits
from tests.unit.search_client.tiny import tiny_images, tiny_space

NETWORK = tiny_space().network([0, 3])
COUNT = 30
IMAGES = tiny_images(COUNT).images[:, :, :16, :16].contiguous()


@pytest.fixture(scope="module")
def float_network() -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(NETWORK).train()
    with torch.no_grad():
        for _ in range(20):  # running statistics
            model(normalise(IMAGES))
        # An untrained classifier's logits are hardly above 0.
        next(one for one in model.modules() if isinstance(one, torch.nn.Linear)).weight.mul_(50)
    return model.eval()


@pytest.fixture(scope="module")
def quantized(float_network: FloatNetwork) -> QuantizedNetwork:
    batches = [(normalise(IMAGES), torch.zeros(COUNT))]
    return quantize_post_training(float_network, batches).eval()


def file_logits(classifier: TFLiteClassifier) -> np.ndarray:
    counted: list[int] = []
    found = classifier.logits(to_pixels(IMAGES), counted.append)
    assert counted == list(range(1, COUNT + 1))
    return found


@pytest.mark.parametrize("kernels", KERNEL_SETS)
def test_a_float32_file_gives_the_logits_of_torch(
    float_network: FloatNetwork, kernels: Kernels
) -> None:
    file = encode(NETWORK.operators, Parameters(folded_parameters(float_network), {}))
    classifier = TFLiteClassifier(file, kernels)
    assert (classifier.output_scale, classifier.input_size, classifier.classes) == (None, 16, 3)
    of_torch = torch_logits(float_network, IMAGES)
    assert np.ptp(of_torch) > 0.1
    np.testing.assert_allclose(file_logits(classifier), of_torch, atol=1e-4)


@pytest.mark.parametrize("kernels", KERNEL_SETS)
@pytest.mark.parametrize("codes", ["int8", "uint8"])
def test_an_int8_file_gives_the_dequantized_logits_of_fake_quantization(
    quantized: QuantizedNetwork, kernels: Kernels, codes: str
) -> None:
    parameters = quantized.parameters_for_export()
    options = FileOptions(codes="uint8" if codes == "uint8" else "int8")
    operators = quantized.network.operators
    classifier = TFLiteClassifier(encode(operators, parameters, options=options), kernels)
    scale = affine_of(parameters.ranges[named_layers(operators)[-1][0]]).scale
    assert classifier.output_scale == pytest.approx(scale)
    of_torch = torch_logits(quantized, IMAGES)
    # Enough codes in use, so that two steps are little.
    assert np.ptp(of_torch) > 100 * scale
    assert np.abs(file_logits(classifier) - of_torch).max() <= 2.01 * scale


def test_float16_weights_stay_within_their_rounding(float_network: FloatNetwork) -> None:
    parameters = Parameters(folded_parameters(float_network), {})
    file = encode(NETWORK.operators, parameters, options=FileOptions(half_weights=True))
    assert len(file) < 0.6 * len(encode(NETWORK.operators, parameters))
    of_torch = torch_logits(float_network, IMAGES)
    difference = np.abs(file_logits(TFLiteClassifier(file)) - of_torch).max()
    assert 0 < difference < 5e-3 * np.abs(of_torch).max()


def test_what_is_no_classifier_of_images_is_refused() -> None:
    with pytest.raises(NoClassifier, match="LiteRT cannot load the model"):
        TFLiteClassifier(b"no model at all")
    block = NETWORK.operators[1:2]
    with pytest.raises(NoClassifier, match=r"takes a tensor of shape \[1, 8, 8, 8\]"):
        TFLiteClassifier(encode(block))
