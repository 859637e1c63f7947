"""Every form of every operator: what torch trains is what its file computes."""

import numpy as np
import pytest
import torch

from netspec.layers import INPUT, ActivationRange, LayerWeights, Parameters, layer_name
from netspec.operators import OperatorBase
from netspec.quantization import affine_of
from netspec.tflite import encode
from search_client.networks.layers import OperatorModule, channels_last, to_tflite_layout
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedOperator
from search_client.quantization.ranges import Activations
from tests.integration.netspec.reference import ranges_of, run, scale_and_zero
from tests.integration.netspec.test_every_operator import expected_delegation
from tests.unit.netspec.operators.examples import EXAMPLES

WIDE = ActivationRange(-4.0, 4.0)


def trained(operator: OperatorBase) -> OperatorModule:
    """With weights, gains and statistics that are no longer the first ones."""
    torch.manual_seed(0)
    module = OperatorModule(operator).train()
    for name, parameter in module.named_parameters():
        if name.endswith(("norm.weight", "bias")):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    with torch.no_grad():
        for _ in range(40):
            module(torch.randn(8, 8, 9, 9))
    return module.eval()


def image() -> torch.Tensor:
    return channels_last(torch.randn(1, 8, 9, 9, generator=torch.Generator().manual_seed(1)))


def numbers(y: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    shown = y.permute(0, 2, 3, 1) if y.ndim == 4 else y
    return np.asarray(shown.detach().numpy())


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_float_module_is_its_file(name: str) -> None:
    operator = EXAMPLES[name]
    module, x = trained(operator), image()
    weights = {}
    for layer in operator.layers:
        if layer.has_weights:
            weight, bias = module.chain[layer.name].folded()  # type: ignore[operator]
            weights[layer_name(0, layer)] = LayerWeights(
                to_tflite_layout(layer, weight), bias.detach().numpy().astype(np.float32)
            )
    found = run(encode((operator,), Parameters(weights, {})), numbers(x))
    wanted = numbers(module(x))
    assert np.abs(found - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_fake_quantized_module_is_within_two_steps_of_its_file(name: str) -> None:
    operator = EXAMPLES[name].with_precision("int8")
    module = QuantizedOperator(operator, trained(EXAMPLES[name])).train()
    affine = affine_of(WIDE)
    scale, zero = torch.tensor(affine.scale), torch.tensor(affine.zero_point, dtype=torch.int32)
    for layer in module.layers.values():
        assert isinstance(layer, QuantizedLayer)
        layer.norm_frozen = True
    with torch.no_grad():
        for _ in range(2):
            module(Activations(torch.randn(8, 8, 9, 9), scale, zero))
        codes = affine.quantize(numbers(image()))
        given = torch.from_numpy(affine.dequantize(codes)).permute(0, 3, 1, 2)
        wanted = module.eval()(Activations(given, scale, zero)).values
    ranges, weights = {INPUT: WIDE}, {}
    for layer in module.layers.values():
        assert isinstance(layer, QuantizedLayer)
        if layer.output is not None:
            ranges[layer_name(0, layer.layer)] = layer.output.observed()
        if layer.layer.has_weights:
            weights[layer_name(0, layer.layer)] = layer.weights(None)
    parameters = Parameters(weights, ranges)
    found = run(encode((operator,), parameters), codes, expected_delegation(operator))
    held = list(ranges_of((operator,), parameters).values())[-1]
    step, offset = scale_and_zero(held)
    assert np.abs((found - offset) * step - numbers(wanted)).max() <= 2.001 * step
