"""A finetuned network in torch against its exported file in LiteRT."""

import numpy as np
import pytest
import torch

from netspec.layers import INPUT, named_layers
from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, MBConv, StemConv
from netspec.quantization import affine_of
from netspec.tflite import encode
from search_client.batches import PlainBatches, TrainingBatches
from search_client.modules import FloatNetwork
from search_client.qat import QatConfig, finetune_int8
from search_client.quantize import QuantizedNetwork
from search_client.train import TrainConfig, train
from tests.integration.netspec.reference import run
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
IMAGES = 400
MOST_STEPS = 2
LEAST_AGREEMENT = 0.995


@pytest.fixture(scope="module")
def finetuned() -> QuantizedNetwork:
    torch.manual_seed(0)
    batches = TrainingBatches(tiny_images(256), 17, 32, seed=0)
    model = FloatNetwork(NETWORK)
    train(model, batches, TrainConfig(epochs=4, rising_epochs=1), lambda _: None)
    config = QatConfig(epochs=2, frozen_epochs=1, learning_rate=1e-3)
    network, _ = finetune_int8(model, batches, config, lambda _: None)
    return network.eval()


def test_an_exported_file_gives_the_logits_of_fake_quantization(
    finetuned: QuantizedNetwork,
) -> None:
    parameters = finetuned.parameters_for_export()
    operators = NETWORK.with_precision("int8").operators
    file = encode(operators, parameters)
    output = named_layers(operators)[-1][0]
    entering, leaving = (affine_of(parameters.ranges[name]) for name in (INPUT, output))
    images, _ = next(iter(PlainBatches(tiny_images(IMAGES, seed=1), 17, IMAGES)))
    with torch.no_grad():
        logits = finetuned(images).numpy()
    given = entering.quantize(images.permute(0, 2, 3, 1).numpy())
    codes = np.concatenate([run(file, image[None]) for image in given])
    steps = np.abs(codes - np.rint(logits / leaving.scale) - leaving.zero_point)
    assert len(np.unique(logits.argmax(axis=1))) == 3
    assert steps.max() <= MOST_STEPS
    assert (codes.argmax(axis=1) == logits.argmax(axis=1)).mean() >= LEAST_AGREEMENT
