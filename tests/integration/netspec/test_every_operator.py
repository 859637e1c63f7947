"""Every form of every operator in LiteRT, against torch, in both precisions."""

from dataclasses import replace

import numpy as np
import pytest

from netspec.layers import INPUT, LayerKind
from netspec.operators import OperatorBase
from netspec.tflite import Delegation, encode
from netspec.tflite.seeded_weights import seeded_parameters
from tests.integration.netspec.reference import (
    activations,
    last,
    observed_ranges,
    ranges_of,
    run,
    scale_and_zero,
)
from tests.unit.netspec.operators.examples import EXAMPLES

#: int8 layers that XNNPACK leaves to TFLite's own kernels; all else it runs as a whole
UNDELEGATED: set[LayerKind] = {"average_pool", "softmax", "relu", "relu6"}


def expected_delegation(operator: OperatorBase) -> Delegation:
    left = [layer.kind in UNDELEGATED for layer in operator.layers]
    if operator.precision == "float32" or not any(left):
        return "full"
    return "none" if all(left) else "partial"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_float32_file_computes_what_torch_does(name: str) -> None:
    operator = EXAMPLES[name]
    parameters = seeded_parameters((operator,), seed=1)
    held = parameters.ranges[INPUT]
    x = np.random.default_rng(0).uniform(held.low, held.high, (1, 9, 9, 8)).astype(np.float32)
    wanted = last(activations((operator,), parameters, x.astype(np.float64)))
    found = run(encode((operator,), parameters), x, expected_delegation(operator))
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4


@pytest.mark.parametrize("observed", [False, True], ids=["seeded", "observed"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_int8_file_is_within_two_steps_of_the_simulation(name: str, observed: bool) -> None:
    operator = EXAMPLES[name].with_precision("int8")
    parameters = seeded_parameters((operator,), seed=1)
    held = parameters.ranges[INPUT]
    rng = np.random.default_rng(0)
    if observed:
        real = rng.uniform(held.low, held.high, (1, 9, 9, 8))
        whole = activations((EXAMPLES[name],), parameters, real)
        parameters = replace(parameters, ranges=observed_ranges(whole, real))
    codes = rng.integers(-128, 128, (1, 9, 9, 8)).astype(np.int8)
    scale, zero = scale_and_zero(parameters.ranges[INPUT])
    wanted = activations((operator,), parameters, (codes.astype(np.float64) - zero) * scale)
    scale, zero = scale_and_zero(ranges_of((operator,), parameters)[next(reversed(wanted))])
    file = encode((operator,), parameters)
    found = (run(file, codes, expected_delegation(operator)) - zero) * scale
    assert np.abs(found - last(wanted)).max() <= 2.001 * scale
