"""The background is silent: in every kernel set, for any codes, before and after finetuning."""

from __future__ import annotations

from typing import cast

import numpy as np
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from netspec.layers import Parameters
from netspec.networks import Network
from netspec.operators import Classifier
from netspec.quantization import INT8_MAX, INT8_MIN, affine_of
from netspec.tflite import FileOptions, encode
from search_client.data.batches import TrainingBatches
from search_client.deployment.export import model_file
from search_client.deployment.litert import RESOLVERS, Kernels, TFLiteClassifier
from search_client.deployment.other_formats import other_file
from search_client.deployment.parity import KERNEL_SETS
from search_client.deployment.trained_network import (
    NOWHERE,
    TrainedNetwork,
    read_trained_network,
)
from search_client.networks.classes import LEAST_GAP, classifier_of, with_background
from search_client.networks.layers import DenseLayer, FloatNetwork, OperatorModule
from search_client.quantization.background import BackgroundClassifier
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedOperator
from search_client.quantization.post_training import PtqConfig, quantize_post_training
from search_client.quantization.ranges import Activations
from tests.unit.search_client.tiny import tiny_images, tiny_space

CLASSES = ("ant", "bee", "cat", "dog")


def codes_of_file(file: bytes, kernels: Kernels, inputs: np.ndarray) -> np.ndarray:
    """Output codes [N, K] for input codes [N, I]."""
    runtime = Interpreter(
        model_content=file, num_threads=1, experimental_op_resolver_type=RESOLVERS[kernels]
    )
    runtime.allocate_tensors()
    taken, given_back = runtime.get_input_details()[0], runtime.get_output_details()[0]
    outputs = []
    for row in inputs:
        runtime.set_tensor(taken["index"], row.reshape(taken["shape"]))
        runtime.invoke()
        outputs.append(runtime.get_tensor(given_back["index"])[0])
    return np.array(outputs)


def extremes(weight: np.ndarray) -> np.ndarray:
    """Input codes that make each row's logit, or the difference of two, least and greatest."""
    rows = [*weight, *(one - other for one in weight[:4] for other in weight[:4]), weight.mean(0)]
    greatest = [np.where(row > 0, INT8_MAX, INT8_MIN) for row in rows]
    least = [np.where(row > 0, INT8_MIN, INT8_MAX) for row in rows]
    constant = [np.full(weight.shape[1], code) for code in (INT8_MIN, 0, INT8_MAX)]
    return np.array([*greatest, *least, *constant], np.int8)


def silent(codes: np.ndarray, shared: int) -> bool:
    """Below the class whose weights it shares, or both at the least code; never the greatest."""
    background, others = codes[:, 0].astype(int), codes[:, 1:].astype(int)
    below = (background < others[:, shared]) | (others[:, shared] == INT8_MIN)
    return bool(below.all() and (background < others.max(axis=1)).all())


def quantized_classifier(
    seed: int, classes: int, features: int, spread: float, *, tensor_scales: bool
) -> tuple[Network, QuantizedOperator]:
    """A classifier with a background that has seen some pooled features, all of them positive."""
    generator = torch.Generator().manual_seed(seed)
    operator = Classifier(input_size=1, in_channels=features, out_channels=classes + 1)
    trained = OperatorModule(operator)
    dense = cast("DenseLayer", trained.chain["dense"])
    shared = int(torch.randint(classes, (), generator=generator))
    weight = torch.randn(classes, features, generator=generator) * spread
    bias = torch.randn(classes, generator=generator) * 0.1
    lowest = torch.minimum(bias.min(), bias[shared] - LEAST_GAP)
    with torch.no_grad():
        dense.weight.copy_(torch.cat([weight[shared][None], weight]))
        dense.bias.copy_(torch.cat([lowest[None], bias]))
    dense.background = shared + 1
    int8 = operator.with_precision("int8")
    quantized = QuantizedOperator(int8, trained)
    cast("QuantizedLayer", quantized.layers["dense"]).tensor_scales = tensor_scales
    seen = functional.relu6(torch.randn(64, features, 1, 1, generator=generator) * 2)
    with torch.no_grad():
        quantized.train()(Activations(seen, torch.tensor(6 / 255), torch.tensor(-128)))
    return Network(name="classifier", operators=(int8,)), quantized.eval()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**20),
    classes=st.sampled_from([2, 3, 10, 40]),
    features=st.sampled_from([1, 8, 64, 320]),
    spread=st.sampled_from([1e-4, 0.02, 0.2, 3.0]),
    tensor_scales=st.booleans(),
    kernels=st.sampled_from(KERNEL_SETS),
)
def test_no_input_makes_the_background_the_greatest(
    seed: int, classes: int, features: int, spread: float, tensor_scales: bool, kernels: Kernels
) -> None:
    network, quantized = quantized_classifier(
        seed, classes, features, spread, tensor_scales=tensor_scales
    )
    pool = cast("QuantizedLayer", quantized.layers["pool"]).output_range(None)
    dense = quantized.layers["dense"]
    assert isinstance(dense, BackgroundClassifier)
    source = affine_of(pool)
    parameters = Parameters(
        {"0.dense": dense.weights(source)},
        {
            "input": pool,
            "0.pool": pool,
            "0.dense": dense.output_range(source),
        },
    )
    file = encode(network.operators, parameters, options=FileOptions(tensor_scales=tensor_scales))
    generator = np.random.default_rng(seed)
    inputs = np.concatenate(
        [
            extremes(parameters.weights["0.dense"].weight[1:]),
            generator.integers(INT8_MIN, INT8_MAX + 1, (400, features), np.int8),
        ]
    )
    codes = codes_of_file(file, kernels, inputs)
    assert silent(codes, dense.shared)
    # torch computes what the file does
    values = torch.from_numpy(inputs).float()
    x = Activations(
        (values - source.zero_point) * source.scale,
        torch.tensor(source.scale),
        torch.tensor(source.zero_point),
    )
    with torch.no_grad():
        found = dense(x)
    steps = torch.round(found.values / found.scale) + found.zero_point
    assert (steps.numpy() - codes).__abs__().max() <= 1
    assert silent(steps.numpy(), dense.shared)


@pytest.fixture(scope="module")
def grown() -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space(classes=4).network([0, 6]))
    for images, _ in TrainingBatches(tiny_images(96, classes=4), 16, 16, seed=0):
        model(images)
    dense = classifier_of(model)
    torch.nn.init.normal_(dense.weight, std=0.3)
    torch.nn.init.normal_(dense.bias, std=0.01)
    return with_background(model.eval(), CLASSES, 3)[0]


_FINETUNED = QatConfig(epochs=1, norm_epochs=0, frozen_epochs=1, learning_rate=0.1)


@pytest.mark.parametrize(
    "config",
    [
        _FINETUNED,
        _FINETUNED.model_copy(update={"learn_ranges": True}),
        PtqConfig(),
        PtqConfig(ranges="percentile", correct_bias=True),
        PtqConfig(ranges="mse", equalise=False),
    ],
    ids=["finetuned", "learned ranges", "post-training", "percentile, biases", "mse"],
)
def test_it_stays_silent_through_quantization_saving_and_export(
    grown: FloatNetwork,
    config: QatConfig | PtqConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    training = tiny_images(96, classes=4)
    labelled = type(training)(training.images, training.labels + 1, ("background", *CLASSES))
    batches = TrainingBatches(labelled, 16, 16, seed=0)
    if isinstance(config, QatConfig):
        quantized, _ = finetune_int8(grown, batches, config, lambda _: None)
    else:
        quantized = quantize_post_training(grown, batches, config=config)
    trained = TrainedNetwork(("background", *CLASSES), NOWHERE, grown, quantized.eval())
    read = read_trained_network(trained.save(tmp_path_factory.mktemp("net"), "net"))
    assert read.quantized is not None
    dense = list(read.quantized.layers())[-1]
    assert isinstance(dense, BackgroundClassifier)
    pixels = np.concatenate(
        [
            training.images[:, :, :16, :16].permute(0, 2, 3, 1).numpy(),
            np.random.default_rng(0).integers(0, 256, (100, 16, 16, 3), np.uint8),
            np.stack([np.full((16, 16, 3), one, np.uint8) for one in (0, 114, 255)]),
        ]
    )
    file = model_file(read, "int8")
    step = TFLiteClassifier(file, KERNEL_SETS[0]).output_scale
    assert step is not None
    for kernels in KERNEL_SETS:
        logits = TFLiteClassifier(file, kernels).logits(pixels)
        assert (logits[:, 0] < logits.max(axis=1) - step / 2).all()
        for form in ("dynamic", "float16"):
            logits = TFLiteClassifier(model_file(read, form), kernels).logits(pixels)
            assert (logits[:, 0] < logits.max(axis=1)).all()
    elsewhere = onnxruntime.InferenceSession(
        other_file(read, "onnx-int8"), providers=["CPUExecutionProvider"]
    )
    (logits,) = elsewhere.run(None, {"image": pixels.transpose(0, 3, 1, 2)})
    assert (logits[:, 0] < logits.max(axis=1) - step / 2).all()
