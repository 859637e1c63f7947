"""Kernels of a profile, and the operators that they belong to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.errors import ProfileMismatch
from device_agent.runners.kernels import operators_of_kernels, summed
from netspec.networks import mobilenet_v2
from netspec.operators import (
    Bottleneck,
    Classifier,
    Convert,
    GroupedBottleneck,
    HeadConv,
    MBConv,
    Operator,
    ResidualPair,
    StemConv,
)

IGEMM = "Delegate/Convolution (NHWC, F32) IGEMM"
DWCONV = "Delegate/Convolution (NHWC, F32) DWConv"
GEMM = "Delegate/Fully Connected (NC, F32) GEMM"
ADD = "Delegate/Add (ND)"
MEAN = "Delegate/Mean (ND) Reduce2"
RESHAPE = "Delegate/Static Reshape (NC)"

OPERATORS: tuple[Operator, ...] = (
    StemConv(input_size=16, in_channels=3, out_channels=8, stride=2),
    MBConv(input_size=8, in_channels=8, out_channels=8, expand=1),
    MBConv(input_size=8, in_channels=8, out_channels=8, expand=3, kernel=7, residual=True),
    HeadConv(input_size=8, in_channels=8, out_channels=16),
    Classifier(input_size=8, in_channels=16, out_channels=10),
)
KINDS = (IGEMM, DWCONV, GEMM, GEMM, IGEMM, GEMM, ADD, GEMM, MEAN, RESHAPE, GEMM)
OWNERS = (0, 1, 1, 2, 2, 2, 2, 3, 4, 4, 4)


def test_kernels_follow_the_layers_of_their_operators() -> None:
    assert operators_of_kernels(OPERATORS, KINDS) == OWNERS


def test_kernels_of_the_interpreter_itself_have_the_schemas_names() -> None:
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD", "QUANTIZE")
    operators = (OPERATORS[2], Convert(input_size=8, in_channels=8, out_channels=8))
    assert operators_of_kernels(operators, kinds) == (0, 0, 0, 0, 1)


def test_what_only_moves_values_counts_with_the_layer_before_it() -> None:
    kinds = (RESHAPE, *KINDS[:3], "Delegate/Copy (NC, X32)", *KINDS[3:])
    assert operators_of_kernels(OPERATORS, kinds) == (0, 0, 1, 1, 1, *OWNERS[3:])


SQUEEZED = Bottleneck(input_size=9, in_channels=8, out_channels=8, middle=8, squeeze=4)
PAIR = ResidualPair(input_size=9, in_channels=8, out_channels=8, middle=12)
CLAMP, MULTIPLY = "Delegate/Clamp (NC)", "Delegate/Multiply (ND)"
SWISH, LOOKED_UP = "Delegate/HardSwish (NC)", "Delegate/Invalid Unary Op"


@pytest.mark.parametrize("gate", [(ADD, CLAMP, MULTIPLY), (LOOKED_UP,)], ids=["float32", "int8"])
def test_a_layer_may_be_several_kernels(gate: tuple[str, ...]) -> None:
    squeezed = (DWCONV, SWISH, MEAN, GEMM, GEMM, *gate, MULTIPLY, GEMM)
    kinds = (*squeezed, IGEMM, IGEMM, ADD, CLAMP)
    owners = operators_of_kernels((SQUEEZED, PAIR), kinds)
    assert owners == (*[0] * len(squeezed), *[1] * 4)


@pytest.mark.parametrize(
    "swish", [(ADD, MULTIPLY, MULTIPLY), (LOOKED_UP,)], ids=["apart", "looked up"]
)
def test_a_hard_swish_in_int8_is_three_kernels_or_one(swish: tuple[str, ...]) -> None:
    head = HeadConv(input_size=8, in_channels=8, out_channels=16, activation="hard_swish")
    coded = head.with_precision("int8")
    assert operators_of_kernels((coded,), (GEMM, *swish)) == (0,) * (len(swish) + 1)
    assert operators_of_kernels((head,), (GEMM, SWISH)) == (0, 0)
    for operator, kinds in ((head, (GEMM, *swish)), (coded, (GEMM, SWISH))):
        with pytest.raises(ProfileMismatch):
            operators_of_kernels((operator,), kinds)


def test_a_shuffle_is_a_transposition_whatever_reshapes_run() -> None:
    shuffled = GroupedBottleneck(input_size=8, in_channels=8, out_channels=8, middle=8, groups=2)
    turned = "Delegate/Transpose (ND, X32)"
    kinds = (IGEMM, RESHAPE, turned, RESHAPE, DWCONV, IGEMM)
    assert operators_of_kernels((shuffled,), kinds) == (0,) * 6
    with pytest.raises(ProfileMismatch):
        operators_of_kernels((shuffled,), (IGEMM, RESHAPE, DWCONV, IGEMM))


@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        (KINDS[:-1], "fewer kernels"),
        ((*KINDS, GEMM), "more kernels"),
        ((), "fewer kernels"),
        (("TfLiteXNNPackDelegate",), "layer conv"),
        ((IGEMM, GEMM, *KINDS[2:]), "layer depthwise"),
        ((*KINDS[:6], GEMM, *KINDS[7:]), "layer add"),
    ],
)
def test_a_profile_of_another_graph_is_refused(kinds: tuple[str, ...], says: str) -> None:
    with pytest.raises(ProfileMismatch, match=says) as caught:
        operators_of_kernels(OPERATORS, kinds)
    assert "`isolated`" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_no_kernel_can_be_left_out_unnoticed(data: st.DataObject) -> None:
    operators = mobilenet_v2(96, 0.35, 10).operators
    whole = {"stem": (IGEMM,), "head": (GEMM,), "classifier": (MEAN, GEMM)}
    kinds: list[str] = []
    for operator in operators:
        if isinstance(operator, MBConv):
            kinds += [GEMM] * (operator.expand > 1) + [DWCONV, GEMM] + [ADD] * operator.residual
        else:
            kinds += whole[operator.kind]
    assert set(operators_of_kernels(operators, kinds)) == set(range(len(operators)))
    del kinds[data.draw(st.integers(0, len(kinds) - 1))]
    with pytest.raises(ProfileMismatch):
        operators_of_kernels(operators, kinds)


def test_times_add_up_operator_by_operator_and_run_by_run() -> None:
    kernels = np.array([[1.0, 2.0, 4.0], [10.0, 20.0, 40.0]])
    assert summed(kernels, (0, 0, 2), 3).tolist() == [[3.0, 0.0, 4.0], [30.0, 0.0, 40.0]]
