"""Convolutions padded as torch does it, which is another shift at stride 2 on even sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from netspec.layers import same_padding, sized
from netspec.networks import mobilenet_v2
from netspec.operators import (
    OPERATOR,
    MBConv,
    Operator,
    StemConv,
    operator_from_key,
    registered_operators,
)
from netspec.tflite import encode
from netspec.tflite.contents import operators_of
from tests.unit.netspec.operators.examples import EXAMPLES
from tests.unit.netspec.strategies import KERNELS

STEM = StemConv(input_size=8, in_channels=3, out_channels=4, stride=2, padding="symmetric")


def test_keys_and_json_speak_of_padding_where_it_is_not_the_usual_one() -> None:
    assert STEM.key == "stem-in:8x8x3-out:4x4x4-kernel:3-stride:2-act:relu6-pad:symmetric-float32"
    assert operator_from_key(STEM.key) == STEM
    assert OPERATOR.validate_json(STEM.model_dump_json()) == STEM
    usual = STEM.model_copy(update={"padding": "same"})
    assert "pad" not in usual.key
    assert "padding" not in usual.model_dump()
    assert usual.content_hash != STEM.content_hash


@given(kernel=KERNELS, half=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_windows_begin_where_those_of_torch_begin(kernel: int, half: int) -> None:
    size = 2 * half
    usual = StemConv.model_validate(
        {"input_size": size, "in_channels": 3, "out_channels": 4, "kernel": kernel, "stride": 2}
    )
    if kernel == 1:
        assert not usual.is_padded("symmetric")
        return
    layers = usual.model_copy(update={"padding": "symmetric"}).layers
    assert [layer.kind for layer in layers] == ["pad", "conv"]
    before, after = layers[0].padding or (0, 0)
    assert before == kernel // 2
    assert before + after == sum(same_padding(size, kernel, 2))
    assert [side for _, _, side in sized(layers, size)] == [size + before + after, half]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_operator_of_any_kind_is_padded_or_says_that_it_cannot_be(name: str) -> None:
    operator = EXAMPLES[name]
    asked = {**operator.model_dump(), "padding": "symmetric"}
    if not operator.is_padded("symmetric"):
        with pytest.raises(ValidationError, match="leave it out"):
            OPERATOR.validate_python(asked)
        return
    padded = OPERATOR.validate_python(asked)
    assert [layer.kind for layer in padded.layers].count("pad") >= 1
    assert (padded.output_size, padded.out_channels) == (
        operator.output_size,
        operator.out_channels,
    )


def test_a_size_of_one_more_needs_no_zeros_of_its_own() -> None:
    with pytest.raises(ValidationError, match="without a convolution of stride 2 on an even size"):
        StemConv(input_size=9, in_channels=3, out_channels=4, stride=2, padding="symmetric")


def test_a_network_is_padded_wherever_it_is_a_difference() -> None:
    network = mobilenet_v2(32, 0.35, 10)
    padded = network.with_padding("symmetric")
    strides = [getattr(one, "stride", 1) for one in network.operators]
    assert [one.padding == "symmetric" for one in padded.operators] == [s == 2 for s in strides]
    assert padded.content_hash != network.content_hash
    assert padded.with_padding("same") == network


def test_a_file_pads_before_the_convolution() -> None:
    block = MBConv(input_size=8, in_channels=4, out_channels=4, expand=2, stride=2)
    padded = block.model_copy(update={"padding": "symmetric"})
    for precision in ("float32", "int8"):
        chain: list[Operator] = [padded.with_precision(precision)]
        found = operators_of(encode(chain))
        assert [one.name for one in found] == ["CONV_2D", "PAD", "DEPTHWISE_CONV_2D", "CONV_2D"]
        assert found[2].outputs[0].shape == (1, 4, 4, 8)
        assert np.prod(found[1].outputs[0].shape) == 9 * 9 * 8


def test_operators_without_padding_have_the_keys_that_they_had() -> None:
    assert all("padding" not in kind.key_fields for kind in registered_operators())
