"""Every operator with int16 activations, and with int8 weights alone, against torch and LiteRT."""

import copy

import numpy as np
import numpy.typing as npt
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from netspec.delegation import undelegated
from netspec.errors import EncodingError
from netspec.layers import INPUT, ActivationRange, LayerWeights, Parameters, layer_name
from netspec.operators import Precision
from netspec.quantization import wide_affine_of
from netspec.tflite import FileOptions, encode
from netspec.tflite.runtimes import RuntimeVersion
from search_client.deployment.litert import RESOLVERS, Kernels
from search_client.networks.layers import to_tflite_layout
from search_client.quantization.dynamic_range import DynamicRangeLayer
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedOperator
from search_client.quantization.ranges import Activations
from tests.integration.search_client.test_every_operator_in_torch import image, numbers, trained
from tests.unit.netspec.operators.examples import EXAMPLES

ENDS = ActivationRange(-4.0, 4.0)
WEIGHTED = [
    name for name, one in EXAMPLES.items() if any(layer.has_weights for layer in one.layers)
]
#: greatest difference over the greatest value: XNNPACK rounds what a 1x1 convolution multiplies
#: with pixel by pixel, the others image by image
DYNAMIC: dict[Kernels, float] = {"reference": 5e-3, "builtin": 5e-3, "xnnpack": 3e-2}


def run(
    file: bytes, x: npt.NDArray[np.float32], kernels: Kernels
) -> tuple[npt.NDArray[np.float32], set[str]]:
    """What a file gives, and the kinds of operators that no delegate takes over."""
    held = Interpreter(
        model_content=file, num_threads=1, experimental_op_resolver_type=RESOLVERS[kernels]
    )
    held.allocate_tensors()
    held.set_tensor(held.get_input_details()[0]["index"], x)
    held.invoke()
    output = held.get_tensor(held.get_output_details()[0]["index"])
    assert output.dtype == np.float32
    return output, {kind for kind, _ in undelegated(held)[1]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_module_with_int16_activations_is_its_file(name: str) -> None:
    operator = EXAMPLES[name].with_precision("int8")
    module = QuantizedOperator(operator, trained(EXAMPLES[name])).train()
    layers = [layer for layer in module.layers.values() if isinstance(layer, QuantizedLayer)]
    for layer in layers:
        layer.norm_frozen = True
    affine = wide_affine_of(ENDS)
    scale, zero = torch.tensor(affine.scale), torch.tensor(0, dtype=torch.int32)
    given = torch.round(image() / scale) * scale
    with torch.no_grad():
        for _ in range(2):
            module(Activations(torch.randn(8, 8, 9, 9), scale, zero))
        module.eval()
        for layer in layers:
            layer.widen()
        wanted = numbers(module(Activations(given, scale, zero)).values)
    ranges = {
        layer_name(0, one.layer): one.output.observed() for one in layers if one.output is not None
    }
    weights = {
        layer_name(0, one.layer): one.weights(None) for one in layers if one.layer.has_weights
    }
    parameters = Parameters(weights, {INPUT: ENDS, **ranges})
    file = encode((operator,), parameters, options=FileOptions(wide=True, signed=True))
    for kernels in RESOLVERS:
        found, left = run(file, numbers(image()), kernels)
        assert np.abs(found - wanted).max() <= 5e-4 * max(1.0, np.abs(wanted).max())
        assert {"QUANTIZE", "DEQUANTIZE"} <= left, "no delegate knows int16"


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_module_with_int8_weights_alone_is_its_file(name: str) -> None:
    operator = EXAMPLES[name]
    module = trained(operator)
    rounded, weights = copy.deepcopy(module), {}
    for layer in operator.layers:
        if layer.has_weights:
            held = module.chain[layer.name]
            weight, bias = held.folded()  # type: ignore[operator]
            weights[layer_name(0, layer)] = LayerWeights(
                to_tflite_layout(layer, weight), bias.detach().numpy().astype(np.float32)
            )
            rounded.chain[layer.name] = DynamicRangeLayer(held)  # type: ignore[arg-type]
    options = FileOptions(int8_weights=True, signed=True)
    file = encode((operator,), Parameters(weights, {}), options=options)
    wanted, exact = numbers(rounded(image())), numbers(module(image()))
    depthwise = any(layer.kind == "depthwise" for layer in operator.layers)
    for kernels, most in DYNAMIC.items():
        found, left = run(file, numbers(image()), kernels)
        assert np.abs(found - wanted).max() <= most * np.abs(wanted).max()
        assert np.abs(found - exact).max() > 1e-6 * np.abs(exact).max(), "something is rounded"
        if kernels == "xnnpack":
            assert left == ({"DEPTHWISE_CONV_2D"} if depthwise else set())


@pytest.mark.parametrize(
    ("precision", "options", "message"),
    [
        ("float32", FileOptions(wide=True), "int16 activations are of int8 networks"),
        ("int8", FileOptions(wide=True, codes="uint8"), "takes and gives float32"),
        ("int8", FileOptions(int8_weights=True), "has int8 weights anyway"),
    ],
)
def test_a_form_that_a_network_cannot_have_is_refused(
    precision: Precision, options: FileOptions, message: str
) -> None:
    operator = EXAMPLES["fused"].with_precision(precision)
    with pytest.raises(EncodingError, match=message):
        encode((operator,), options=options)


def test_an_old_runtime_is_refused_what_it_lacks() -> None:
    operator = EXAMPLES["fused"].with_precision("int8")
    old = RuntimeVersion(major=2, minor=3)
    with pytest.raises(EncodingError, match=r"runtime 2\.3 does not run ADD, which 2\.4"):
        encode((operator,), options=FileOptions(wide=True, runtime=old))
