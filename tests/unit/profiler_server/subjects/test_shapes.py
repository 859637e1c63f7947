from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.operators import Classifier, Convert, HeadConv, MBConv, Operator, StemConv
from netspec.spaces import Space
from profiler_server.subjects.shapes import DIGITS, STRIDE_AT, Shape, texts
from tests.unit.netspec.operators.examples import EXAMPLES

BLOCK = MBConv(
    input_size=56, in_channels=24, out_channels=40, kernel=5, expand=6, stride=2, precision="int8"
)

sides = st.integers(1, 4096)
channels = st.integers(1, 16384)
precisions = st.sampled_from(["float32", "int8"])
activations = st.sampled_from(["relu6", "relu"])
operators: st.SearchStrategy[Operator] = st.one_of(
    st.builds(
        MBConv,
        input_size=sides,
        in_channels=channels,
        out_channels=channels,
        expand=st.integers(1, 16),
        kernel=st.sampled_from([1, 3, 5, 7, 9, 11]),
        stride=st.sampled_from([1, 2]),
        precision=precisions,
        activation=activations,
    ),
    st.builds(
        StemConv,
        input_size=sides,
        in_channels=channels,
        out_channels=channels,
        stride=st.sampled_from([1, 2]),
        precision=precisions,
    ),
    st.builds(
        HeadConv,
        input_size=sides,
        in_channels=channels,
        out_channels=channels,
        precision=precisions,
    ),
    st.builds(Classifier, input_size=sides, in_channels=channels, out_channels=channels),
    channels.flatmap(
        lambda width: st.builds(
            Convert, input_size=sides, in_channels=st.just(width), out_channels=st.just(width)
        )
    ),
)


def test_a_shape_is_all_but_kernel_and_expansion() -> None:
    shape = Shape.of(BLOCK)
    # int8, mbconv, 4096 - 56, stride, channels, no residual, relu6
    assert shape.text == "1040402000240004001"
    assert Shape.of(BLOCK.model_copy(update={"kernel": 7, "expand": 3})) == shape
    assert shape.text[STRIDE_AT - 1] == "2"
    assert shape.output_size == 28


@given(operators)
@settings(max_examples=100, deadline=None)
def test_texts_come_back_and_lie_in_their_ranges(operator: Operator) -> None:
    shape = Shape.of(operator)
    assert len(shape.text) == DIGITS
    assert Shape.parse(shape.text) == shape
    is_block = isinstance(operator, MBConv)
    for input_size in (None, operator.input_size):
        for blocks in (True, False):
            ranges = texts(operator.precision, blocks=blocks, input_size=input_size)
            inside = any(first <= shape.text < end for first, end in ranges)
            assert inside == (blocks == is_block)
    other = texts(operator.precision, blocks=is_block, input_size=1 + operator.input_size % 4096)
    assert not any(first <= shape.text < end for first, end in other)


@pytest.mark.parametrize("name", EXAMPLES)
def test_operators_of_any_kind_have_a_place_among_the_others(name: str) -> None:
    operator = EXAMPLES[name]
    shape = Shape.of(operator)
    assert Shape.parse(shape.text) == shape
    assert shape.stride == getattr(operator, "stride", 1)
    ranges = texts("float32", blocks=isinstance(operator, MBConv))
    assert any(first <= shape.text < end for first, end in ranges)


@pytest.mark.parametrize("size", [224, 192, 97])
def test_blocks_sort_as_the_network_runs(size: int) -> None:
    space = Space(input_size=size)
    blocks = [space.fixed_start[1], *(block.candidates[0] for block in space.blocks)]
    found = [Shape.of(block).text for block in blocks]
    assert sorted(found) == found


@pytest.mark.parametrize("text", ["", "0" * 18, "0" * 20, "9" * 19, "0" * 18 + "x", "٣" * 19])
def test_other_texts_are_no_shapes(text: str) -> None:
    with pytest.raises(ValueError, match=r"shape|digits"):
        Shape.parse(text)
