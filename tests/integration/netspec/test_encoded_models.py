"""Encoded models in LiteRT, against torch."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.layers import INPUT, ActivationRange
from netspec.networks import Network, mobilenet_v2
from netspec.operators import (
    Activation,
    Classifier,
    HeadConv,
    Kernel,
    MBConv,
    Operator,
    StemConv,
    Stride,
)
from netspec.spaces import Space, Stage
from netspec.tflite import delegation, encode
from netspec.tflite.seeded_weights import seeded_parameters
from tests.integration.netspec.reference import (
    activations,
    last,
    observed_ranges,
    run,
    scale_and_zero,
)

ACTIVATIONS: tuple[Activation, ...] = ("relu6", "relu")
KERNELS: tuple[Kernel, ...] = (3, 5, 7)
STRIDES: tuple[Stride, ...] = (1, 2)
#: with room for the rounding of scales in float32
TWO_STEPS = 2.001
SIZES = st.integers(1, 33)
CHANNELS = st.integers(1, 40)


@st.composite
def mbconvs(draw: st.DrawFn) -> Operator:
    stride = draw(st.sampled_from(STRIDES))
    channels = draw(CHANNELS)
    residual = stride == 1 and draw(st.booleans())
    return MBConv(
        input_size=draw(SIZES),
        in_channels=channels,
        out_channels=channels if residual else draw(CHANNELS),
        kernel=draw(st.sampled_from(KERNELS)),
        expand=draw(st.sampled_from([1, 3, 6])),
        stride=stride,
        residual=residual,
        activation=draw(st.sampled_from(ACTIVATIONS)),
    )


OTHERS = st.one_of(
    st.builds(
        StemConv,
        input_size=SIZES,
        in_channels=st.sampled_from([1, 3, 4]),
        out_channels=CHANNELS,
        kernel=st.sampled_from([1, 3, 5, 7]),
        stride=st.sampled_from(STRIDES),
        activation=st.sampled_from(ACTIVATIONS),
        kind=st.just("stem"),
        precision=st.just("float32"),
    ),
    st.builds(
        HeadConv,
        input_size=SIZES,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        activation=st.sampled_from(ACTIVATIONS),
        kind=st.just("head"),
        precision=st.just("float32"),
    ),
    st.builds(
        Classifier,
        input_size=SIZES,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        kind=st.just("classifier"),
        precision=st.just("float32"),
    ),
)
OPERATORS = st.one_of(mbconvs(), OTHERS)
SEEDS = st.integers(0, 2**32 - 1)


def shape_of(operators: tuple[Operator, ...]) -> tuple[int, int, int, int]:
    return (1, operators[0].input_size, operators[0].input_size, operators[0].in_channels)


def float32_error(operators: tuple[Operator, ...], seed: int) -> float:
    parameters = seeded_parameters(operators, seed)
    held = parameters.ranges[INPUT]
    rng = np.random.default_rng(seed)
    x = rng.uniform(held.low, held.high, shape_of(operators)).astype(np.float32)
    expected = last(activations(operators, parameters, x.astype(np.float64)))
    output = run(encode(operators, parameters), x)
    assert output.shape == expected.shape
    return float(np.abs(output - expected).max())


def int8_errors_in_steps(
    operators: tuple[Operator, ...],
    seed: int,
    ranges: dict[str, ActivationRange] | None = None,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Distance of every output from the reference, in output steps."""
    operators = tuple(operator.with_precision("int8") for operator in operators)
    parameters = seeded_parameters(operators, seed)
    if ranges is not None:
        parameters = replace(parameters, ranges=ranges)
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, shape_of(operators)).astype(np.int8)
    scale, zero = scale_and_zero(parameters.ranges[INPUT])
    outputs = activations(operators, parameters, (codes.astype(np.float64) - zero) * scale)
    scale, zero = scale_and_zero(parameters.ranges[next(reversed(outputs))])
    dequantised = (run(encode(operators, parameters), codes) - zero) * scale
    assert dequantised.shape == last(outputs).shape
    return np.abs(dequantised - last(outputs)) / scale


@given(operator=OPERATORS, seed=SEEDS)
@settings(max_examples=120, deadline=None)
def test_float32_operator_matches_torch(operator: Operator, seed: int) -> None:
    assert float32_error((operator,), seed) <= 1e-4


@given(operator=OPERATORS, seed=SEEDS)
@settings(max_examples=120, deadline=None)
def test_int8_operator_is_within_two_steps_of_the_dequantised_reference(
    operator: Operator, seed: int
) -> None:
    assert int8_errors_in_steps((operator,), seed).max() <= TWO_STEPS


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("expand", [1, 3, 6])
@pytest.mark.parametrize("size", [14, 15])
def test_every_kernel_and_expansion_at_even_and_odd_sizes(
    kernel: Kernel, expand: int, size: int
) -> None:
    for stride in STRIDES:
        block = MBConv(
            input_size=size,
            in_channels=24,
            out_channels=24,
            kernel=kernel,
            expand=expand,
            stride=stride,
            residual=stride == 1,
        )
        assert float32_error((block,), seed=1) <= 1e-4
        assert int8_errors_in_steps((block,), seed=1).max() <= TWO_STEPS


@given(operator=OPERATORS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_int8_operator_with_ranges_observed_on_data(operator: Operator, seed: int) -> None:
    parameters = seeded_parameters((operator,), seed)
    held = parameters.ranges[INPUT]
    x = np.random.default_rng(seed).uniform(held.low, held.high, shape_of((operator,)))
    ranges = observed_ranges(activations((operator,), parameters, x), x)
    assert int8_errors_in_steps((operator,), seed, ranges).max() <= TWO_STEPS


def small_proxylessnas() -> Network:
    stages = (Stage(channels=24, depth=2, stride=2), Stage(channels=40, depth=3, stride=2))
    space = Space(input_size=65, width=0.5, classes=10, stages=stages)
    return space.network([0, 3, 4, 5, 1])


def small_mobilenet_v2() -> Network:
    return mobilenet_v2(input_size=96, width=0.35, classes=10)


@pytest.mark.parametrize("network", [small_proxylessnas, small_mobilenet_v2])
def test_float32_network_matches_torch(network: Callable[[], Network]) -> None:
    assert float32_error(network().operators, seed=2) <= 1e-4


@pytest.mark.parametrize("network", [small_proxylessnas, small_mobilenet_v2])
def test_int8_network_stays_within_two_steps_of_the_simulation(
    network: Callable[[], Network],
) -> None:
    errors = int8_errors_in_steps(network().operators, seed=2)
    assert errors.max() <= TWO_STEPS


def test_int8_outputs_use_the_range_they_are_given() -> None:
    operators = small_mobilenet_v2().with_precision("int8").operators
    x = np.random.default_rng(3).integers(-128, 128, shape_of(operators)).astype(np.int8)
    codes = run(encode(operators), x)
    assert len(np.unique(codes)) >= 5
    assert -128 < codes.min() < codes.max() < 127


def test_the_same_arguments_give_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from netspec.networks import mobilenet_v2; "
        "from netspec.tflite import encode; "
        "print(hashlib.sha256(b''.join(encode(mobilenet_v2(96, 0.35, 10, p).operators, seed=7) "
        "for p in ('float32', 'int8'))).hexdigest())"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]
    here = b"".join(
        encode(mobilenet_v2(96, 0.35, 10, precision).operators, seed=7)
        for precision in ("float32", "int8")
    )
    assert printed == [hashlib.sha256(here).hexdigest()] * 2


BLOCK = MBConv(
    input_size=8, in_channels=8, out_channels=8, expand=3, residual=True, precision="int8"
)


def test_delegation_is_partial_where_xnnpack_refuses_a_layer() -> None:
    parameters = seeded_parameters((BLOCK,))
    # XNNPACK adds int8 tensors only while their scales differ by less than a factor of 2^8.
    far = {**parameters.ranges, "0.add": ActivationRange(-1e5, 1e5)}
    interpreter = Interpreter(model_content=encode((BLOCK,), replace(parameters, ranges=far)))
    interpreter.allocate_tensors()
    assert delegation(interpreter) == "partial"


def test_delegation_is_none_without_delegates() -> None:
    interpreter = Interpreter(
        model_content=encode((BLOCK,)),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    assert delegation(interpreter) == "none"


@pytest.mark.parametrize("operator", [BLOCK, BLOCK.with_precision("float32")])
def test_delegation_is_full_by_default(operator: Operator) -> None:
    interpreter = Interpreter(model_content=encode((operator,)))
    interpreter.allocate_tensors()
    assert delegation(interpreter) == "full"
