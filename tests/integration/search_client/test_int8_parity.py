"""A finetuned network in torch against its exported file in LiteRT."""

import numpy as np
import pytest
import torch

from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, MBConv, Operator, StemConv
from netspec.tflite import encode
from netspec.tflite.contents import FileOperator, operators_of
from search_client.data.batches import CentralCrops, TrainingBatches, central_crop
from search_client.deployment.parity import KERNEL_SETS, first_difference, verify
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.mixed_precision import with_float_blocks
from search_client.quantization.network import QuantizedNetwork
from search_client.training.loop import TrainConfig, train
from tests.unit.search_client.tiny import tiny_images

#: at 17 px, so that both even and odd sides meet strides
NETWORK = Network(
    name="every layer",
    operators=(
        StemConv(input_size=17, in_channels=3, out_channels=8, stride=2),
        MBConv(input_size=9, in_channels=8, out_channels=8, expand=1, residual=True),
        MBConv(input_size=9, in_channels=8, out_channels=16, kernel=5, expand=6, stride=2),
        MBConv(input_size=5, in_channels=16, out_channels=16, kernel=7, expand=3, residual=True),
        MBConv(input_size=5, in_channels=16, out_channels=24, kernel=3, expand=6, stride=2),
        HeadConv(input_size=3, in_channels=24, out_channels=64),
        Classifier(input_size=3, in_channels=64, out_channels=3),
    ),
)
TEST = tiny_images(400, seed=1)
IMAGES = central_crop(TEST.images, 17)
MOST_STEPS = 2
LEAST_AGREEMENT = 0.995


@pytest.fixture(scope="module")
def model() -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(NETWORK)
    batches = TrainingBatches(tiny_images(256), 17, 32, seed=0)
    train(model, batches, TrainConfig(epochs=4, rising_epochs=1), lambda _: None)
    return model


@pytest.fixture(scope="module", params=["int8", "mixed"])
def finetuned(model: FloatNetwork, request: pytest.FixtureRequest) -> QuantizedNetwork:
    network = NETWORK.with_precision("int8")
    if request.param == "mixed":
        network = with_float_blocks(network, [1, 3])
    batches = TrainingBatches(tiny_images(256), 17, 32, seed=0)
    config = QatConfig(epochs=2, norm_epochs=1, frozen_epochs=1, learning_rate=1e-3)
    return finetune_int8(model, batches, config, lambda _: None, network)[0].eval()


def test_an_exported_file_gives_the_logits_of_fake_quantization_on_every_kernel_set(
    finetuned: QuantizedNetwork,
) -> None:
    file = encode(finetuned.network.operators, finetuned.parameters_for_export())
    found = verify(file, finetuned, CentralCrops.of(IMAGES, TEST.labels))
    assert set(found.parity) == set(KERNEL_SETS)
    for parity in found.parity.values():
        assert parity.max_steps is not None
        assert parity.max_steps <= MOST_STEPS
        assert parity.top1_agreement >= LEAST_AGREEMENT
    assert all(first_difference(file, finetuned, image) is None for image in IMAGES[:3])


def test_the_layer_that_was_tampered_with_is_found(finetuned: QuantizedNetwork) -> None:
    parameters = finetuned.parameters_for_export()
    name = (
        "4.depthwise"
        if len(finetuned.network.operators) == len(NETWORK.operators)
        else ("6.depthwise")
    )
    weights = dict(parameters.weights)
    weights[name] = type(weights[name])(weights[name].weight, weights[name].bias + 3)
    file = encode(finetuned.network.operators, type(parameters)(weights, parameters.ranges))
    first = first_difference(file, finetuned, IMAGES[0])
    assert first is not None
    assert first.layer == name


def alone(operator: Operator) -> tuple[FileOperator, ...]:
    return operators_of(encode([operator]))


def test_what_is_deployed_is_what_was_priced(finetuned: QuantizedNetwork) -> None:
    network = finetuned.network
    deployed = operators_of(encode(network.operators, finetuned.parameters_for_export()))
    priced = [one for operator in network.operators for one in alone(operator)]
    assert list(deployed) == priced


def test_no_tensor_of_a_whole_int8_file_is_float(finetuned: QuantizedNetwork) -> None:
    file = encode(finetuned.network.operators, finetuned.parameters_for_export())
    floats = {
        operator.name
        for operator in operators_of(file)
        for tensor in (*operator.inputs, *operator.outputs)
        if tensor.type.startswith("FLOAT")
    }
    mixed = any(operator.precision == "float32" for operator in finetuned.network.operators)
    assert bool(floats) == mixed
    assert np.isin(["ADD", "MEAN", "FULLY_CONNECTED"], [o.name for o in operators_of(file)]).all()
