"""`.tflite` files as networks of layers: ours come back, others' are understood or refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import InvalidSpec, UnreadableModel
from netspec.grouping import Knowledge, LayerNetwork, grouping, tiling
from netspec.networks import mobilenet_v2
from netspec.operators import PRECISIONS, Convert, HeadConv, Precision
from netspec.tflite import FileOptions, encode, network_of_file, read, read_network
from tests.unit.netspec.operators.examples import EXAMPLES
from tests.unit.netspec.tflite.foreign import (
    CODES,
    OPTIONS,
    RELU,
    RELU6,
    TANH,
    VALID,
    Foreign,
)

FILE = encode([EXAMPLES["bottleneck squeezed"]])


def read_back(foreign: Foreign) -> LayerNetwork:
    return network_of_file(foreign.file(), "net")


def kinds(network: LayerNetwork) -> list[str]:
    return [placed.layer.kind for placed in network.layers]


def keys(network: LayerNetwork) -> list[str]:
    """Of the operators that a table would be asked for which has none of them."""
    return [operator.key for operator, _ in tiling(grouping(network), {})]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_file_of_an_operator_is_that_operator(name: str, precision: Precision) -> None:
    operator = EXAMPLES[name].with_precision(precision)
    found = grouping(network_of_file(encode([operator]), "net"))
    ((chosen, layers),) = tiling(found, {operator.key: "measured"})
    assert chosen == operator
    assert layers == tuple(range(len(found.network.layers)))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_file_of_a_network_is_its_operators(precision: Precision) -> None:
    network = mobilenet_v2(64, 0.35, 10, precision)
    found = grouping(network_of_file(encode(network.operators), "net"))
    measured: dict[str, Knowledge] = {operator.key: "measured" for operator in network.operators}
    assert [one.key for one, _ in tiling(found, measured)] == [
        operator.key for operator in network.operators
    ]
    # With nothing known the blocks are found all the same, if under the first name that fits.
    assert len(tiling(found, {})) == len(network.operators)
    single: dict[str, Knowledge] = {
        piece.operators[0].key: "measured" for pieces in found.pieces for piece in pieces[-1:]
    }
    assert len(tiling(found, single)) == len(found.network.layers)


def test_codes_and_halves_of_deployed_files() -> None:
    operators = mobilenet_v2(32, 0.35, 10, "int8").operators
    unsigned = network_of_file(encode(operators, options=FileOptions(codes="uint8")), "net")
    assert kinds(unsigned)[0] == kinds(unsigned)[-1] == "convert"
    floats = tuple(one.with_precision("float32") for one in operators)
    halves = network_of_file(encode(floats, options=FileOptions(half_weights=True)), "net")
    assert kinds(halves) == kinds(network_of_file(encode(floats), "net"))
    begin = Convert(input_size=8, in_channels=4, out_channels=4, precision="int8")
    end = HeadConv(input_size=8, in_channels=4, out_channels=8, precision="int8")
    found = grouping(network_of_file(encode([begin, end]), "net"))
    measured: dict[str, Knowledge] = {begin.key: "measured", end.key: "measured"}
    assert [one.key for one, _ in tiling(found, measured)] == [begin.key, end.key]


def test_zeros_before_a_convolution_are_a_part_of_it() -> None:
    foreign = Foreign(8)
    padded = foreign.pad(foreign.x, (1, 10, 10, 4), 1, 1)
    foreign.conv(padded, (1, 4, 4, 6), (6, 3, 3, 4), stride=2, padding=VALID)
    (placed,) = read_back(foreign).layers
    assert (placed.layer.kind, placed.side, placed.layer.padding) == ("conv", 8, None)
    assert placed.layer.inputs == ("input",)
    assert keys(read_back(foreign)) == [
        "conv-in:8x8x4-out:4x4x6-kernel:3-groups:1-stride:2-act:none-float32"
    ]


def test_zeros_that_others_read_too_stay_a_layer() -> None:
    foreign = Foreign(8)
    padded = foreign.pad(foreign.x, (1, 10, 10, 4), 1, 1)
    one = foreign.depthwise(padded, (1, 8, 8, 4), 3, padding=VALID)
    other = foreign.depthwise(padded, (1, 8, 8, 4), 3, padding=VALID)
    foreign.add(one, other, (1, 8, 8, 4))
    network = read_back(foreign)
    assert kinds(network) == ["pad", "depthwise", "depthwise", "add"]
    # Without padding of its own it has as many windows as one of 8 px that has.
    assert [key.split("-out")[0] for key in keys(network)] == [
        "padding-in:8x8x4",
        "conv-in:8x8x4",
        "conv-in:8x8x4",
        "elementwise-in:8x8x4",
    ]


def test_activations_are_a_part_of_what_they_follow() -> None:
    foreign = Foreign()
    y = foreign.conv(foreign.x, (1, 8, 8, 4), (4, 1, 1, 4))
    y = foreign.run(CODES.RELU6, [y], (1, 8, 8, 4))
    y = foreign.add(y, foreign.begin, (1, 8, 8, 4))
    y = foreign.run(CODES.RELU, [y], (1, 8, 8, 4))
    foreign.run(CODES.RELU, [y], (1, 8, 8, 4))
    network = read_back(foreign)
    assert [(placed.layer.kind, placed.layer.activation) for placed in network.layers] == [
        ("conv", "relu6"),
        ("add", "relu"),
        ("relu", None),
    ]


def test_an_activation_of_what_others_read_stays_a_layer() -> None:
    foreign = Foreign()
    y = foreign.conv(foreign.x, (1, 8, 8, 4), (4, 1, 1, 4))
    z = foreign.run(CODES.RELU, [y], (1, 8, 8, 4))
    foreign.add(y, z, (1, 8, 8, 4))
    assert kinds(read_back(foreign)) == ["conv", "relu", "add"]


@pytest.mark.parametrize("divided", [False, True])
def test_a_hard_sigmoid_is_found_as_converters_write_it(divided: bool) -> None:
    foreign = Foreign()
    shape = (1, 8, 8, 4)
    y = foreign.add(foreign.x, foreign.constant([3.0]), shape, RELU6)
    if divided:
        inputs = [y, foreign.constant([6.0])]
        foreign.run(CODES.DIV, inputs, shape, OPTIONS.DivOptions, schema.DivOptionsT(0))
    else:
        foreign.multiply(y, foreign.constant([1 / 6]), shape)
    assert kinds(read_back(foreign)) == ["hard_sigmoid"]
    # In float32 a swish that was taken apart runs as more kernels than one, and so it is priced.
    foreign.multiply(foreign.begin, foreign.x, shape)
    assert kinds(read_back(foreign)) == ["hard_sigmoid", "multiply"]


@pytest.mark.parametrize("gate_first", [False, True])
def test_a_hard_swish_in_int8_is_found_as_it_must_be_written(gate_first: bool) -> None:
    def built(*, read_twice: bool = False, fused: int = 0) -> LayerNetwork:
        foreign, shape = Foreign(int8=True), (1, 8, 8, 4)
        y = foreign.add(foreign.x, foreign.constant([3.0]), shape, RELU6)
        gate = foreign.multiply(y, foreign.constant([1 / 6]), shape)
        both = (gate, foreign.begin) if gate_first else (foreign.begin, gate)
        y = foreign.multiply(*both, shape, fused)
        if read_twice:
            foreign.add(y, gate, shape)
        return read_back(foreign)

    assert kinds(built()) == ["hard_swish"]
    assert kinds(built(read_twice=True)) == ["hard_sigmoid", "multiply", "add"]
    assert kinds(built(fused=RELU)) == ["hard_sigmoid", "multiply"]


def test_groups_turned_between_reshapes_are_a_shuffle() -> None:
    def built(
        split: tuple[int, ...] = (1, 64, 2, 2),
        order: tuple[int, ...] = (0, 1, 3, 2),
        joined: tuple[int, ...] = (1, 8, 8, 4),
    ) -> Foreign:
        foreign = Foreign()
        y = foreign.reshape(foreign.x, split)
        turned = tuple(split[axis] for axis in order)
        y = foreign.run(CODES.TRANSPOSE, [y, foreign.constant(order, np.int32)], turned)
        foreign.reshape(y, joined)
        return foreign

    assert keys(read_back(built())) == ["shuffle-in:8x8x4-out:8x8x4-groups:2-float32"]
    five = built((1, 8, 8, 2, 2), (0, 1, 2, 4, 3))
    assert kinds(read_back(five)) == ["shuffle"]
    with pytest.raises(UnreadableModel, match=r"operator 1 \(TRANSPOSE\) orders the axes as"):
        read_back(built(order=(0, 2, 1, 3)))
    with pytest.raises(UnreadableModel, match=r"operator 2 \(RESHAPE\) makes \(1, 4, 16, 4\)"):
        read_back(built(joined=(1, 4, 16, 4)))
    for added, place in ((False, "the output"), (True, r"operator 1 \(ADD\)")):
        half = Foreign()
        y = half.reshape(half.x, (1, 64, 2, 2))
        if added:
            half.add(y, y, (1, 64, 2, 2))
        with pytest.raises(UnreadableModel, match=f"{place} reads channels in groups"):
            read_back(half)
    turned = Foreign()
    turned.run(CODES.TRANSPOSE, [turned.x, turned.constant([0, 2, 1, 3], np.int32)], (1, 8, 8, 4))
    with pytest.raises(UnreadableModel, match=r"operator 0 \(TRANSPOSE\) turns an image"):
        read_back(turned)


def test_other_sums_with_constants_are_sums() -> None:
    foreign = Foreign()
    y = foreign.add(foreign.x, foreign.constant([2.0]), (1, 8, 8, 4), RELU6)
    foreign.multiply(y, foreign.constant([1 / 6]), (1, 8, 8, 4))
    network = read_back(foreign)
    assert kinds(network) == ["add", "multiply"]
    assert keys(network)[0] == "elementwise-in:8x8x4-out:8x8x4-applied:add-float32"


def test_a_squeeze_of_any_shape_is_one_operator() -> None:
    foreign = Foreign()
    y = foreign.mean(foreign.x, (1, 1, 1, 4))
    y = foreign.conv(y, (1, 1, 1, 2), (2, 1, 1, 4), fused=RELU)
    y = foreign.conv(y, (1, 1, 1, 4), (4, 1, 1, 2))
    y = foreign.run(CODES.LOGISTIC, [y], (1, 1, 1, 4))
    foreign.multiply(y, foreign.begin, (1, 8, 8, 4))
    assert keys(read_back(foreign)) == [
        "squeeze_excite-in:8x8x4-out:8x8x4-squeeze:2-gate:sigmoid-float32"
    ]


def test_a_classifier_is_found_behind_any_reshape() -> None:
    for kept in (False, True):
        foreign = Foreign()
        y = foreign.mean(foreign.x, (1, 1, 1, 4) if kept else (1, 4), axes=(-3, -2))
        if kept:
            y = foreign.reshape(y, (1, 4))
        y = foreign.dense(y, (1, 10), 4)
        softmax = schema.SoftmaxOptionsT(1.0)
        foreign.run(CODES.SOFTMAX, [y], (1, 10), OPTIONS.SoftmaxOptions, softmax)
        network = read_back(foreign)
        assert network.views == (("operator 1 (RESHAPE)",) if kept else ())
        assert keys(network) == [
            "classifier-in:8x8x4-out:1x1x10-float32",
            "elementwise-in:1x1x10-out:1x1x10-applied:softmax-float32",
        ]


def test_branches_in_any_order_are_one_block() -> None:
    for shortcut_first in (False, True):
        foreign = Foreign()
        side = (1, 4, 4, 6)

        def shortcut(built: Foreign = foreign) -> int:
            return built.conv(built.begin, (1, 4, 4, 6), (6, 1, 1, 4), stride=2, padding=VALID)

        way = shortcut() if shortcut_first else None
        y = foreign.conv(foreign.begin, side, (6, 3, 3, 4), stride=2, fused=RELU)
        y = foreign.conv(y, side, (6, 3, 3, 6))
        foreign.add(way if way is not None else shortcut(), y, side, RELU)
        assert keys(read_back(foreign)) == [
            "residual_pair-in:8x8x4-out:4x4x6-kernel:3-middle:6-stride:2-act:relu-float32"
        ]


def test_grouped_and_pooled() -> None:
    foreign = Foreign(8, 4)
    y = foreign.conv(foreign.x, (1, 8, 8, 8), (8, 3, 3, 2))
    pooling = schema.Pool2DOptionsT(VALID, 2, 2, 2, 2, 0)
    y = foreign.run(CODES.MAX_POOL_2D, [y], (1, 4, 4, 8), OPTIONS.Pool2DOptions, pooling)
    whole = schema.Pool2DOptionsT(VALID, 4, 4, 4, 4, 0)
    foreign.run(CODES.AVERAGE_POOL_2D, [y], (1, 1, 1, 8), OPTIONS.Pool2DOptions, whole)
    assert keys(read_back(foreign)) == [
        "conv-in:8x8x4-out:8x8x8-kernel:3-groups:2-stride:1-act:none-float32",
        "pool-in:8x8x8-out:4x4x8-pooled:max-kernel:2-stride:2-float32",
        "global_pool-in:4x4x8-out:1x1x8-pooled:average-float32",
    ]


def _leaky(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, 8, 8, 4), (4, 1, 1, 4))
    options = schema.LeakyReluOptionsT(0.1)
    foreign.run(CODES.LEAKY_RELU, [foreign.x], (1, 8, 8, 4), OPTIONS.LeakyReluOptions, options)


def _dynamic(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, -1, -1, 4), (4, 1, 1, 4))


def _circle(foreign: Foreign) -> None:
    later = foreign.tensor((1, 8, 8, 4))
    foreign.add(foreign.x, later, (1, 8, 8, 4))


def _oblong(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, 8, 4, 4), (4, 1, 1, 4))


def _batch(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (2, 8, 8, 4), (4, 1, 1, 4))


def _dilated(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, 8, 8, 4), (4, 3, 3, 4), dilation=2)


def _wide_window(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, 8, 8, 4), (4, 1, 3, 4))


def _tanh(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, 8, 8, 4), (4, 1, 1, 4), fused=TANH)


def _computed_padding(foreign: Foreign) -> None:
    options = schema.PadOptionsT()
    foreign.run(CODES.PAD, [foreign.x, foreign.x], (1, 8, 8, 4), OPTIONS.PadOptions, options)


def _padded_channels(foreign: Foreign) -> None:
    around = foreign.constant([(0, 0), (0, 0), (0, 0), (0, 2)], np.int32)
    options = schema.PadOptionsT()
    foreign.run(CODES.PAD, [foreign.x, around], (1, 8, 8, 6), OPTIONS.PadOptions, options)


def _flattened(foreign: Foreign) -> None:
    foreign.reshape(foreign.x, (1, 256))


def _wrong_side(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, 7, 7, 4), (4, 1, 1, 4))


def _hybrid(foreign: Foreign) -> None:
    options = schema.Conv2DOptionsT(0, 1, 1, 0)
    inputs = [foreign.x, foreign.weight((4, 1, 1, 4), int8=True)]
    foreign.run(CODES.CONV_2D, inputs, (1, 8, 8, 4), OPTIONS.Conv2DOptions, options)


def _difference(foreign: Foreign) -> None:
    options = schema.SubOptionsT(0)
    inputs = [foreign.x, foreign.x]
    foreign.run(CODES.SUB, inputs, (1, 8, 8, 4), OPTIONS.SubOptions, options)


def _even_kernel(foreign: Foreign) -> None:
    foreign.conv(foreign.x, (1, 8, 8, 4), (4, 4, 4, 4))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (
            _leaky,
            r"operator 1 \(LEAKY_RELU\) is no layer that is known; known are ADD, AVERAGE_POOL",
        ),
        (_dynamic, r"operator 0 \(CONV_2D\) has the shape \[1, -1, -1, 4\], which is known only"),
        (_circle, r"operator 0 \(ADD\) reads tensor 1, which no operator before it gives"),
        (_oblong, r"operator 0 \(CONV_2D\) has the shape \[1, 8, 4, 4\]; expected a square"),
        (_batch, r"has the shape \[2, 8, 8, 4\]; expected .* a batch of one"),
        (_dilated, r"has dilation \(2, 2\), expected \(1, 1\)"),
        (_wide_window, "has a window of 1 x 3, expected square"),
        (_tanh, "has the activation 4 of the schema; expected none, RELU or RELU6"),
        (_computed_padding, "computes its input 1 while it runs, expected a constant"),
        (_padded_channels, r"has padding of batch and channels \[0, 0, 0, 2\], expected"),
        (_flattened, "makes 1 px x 256 of 8 px x 4; expected"),
        (_wrong_side, "says that it gives 7 px, but its windows give 8"),
        (_hybrid, "multiplies float32 images with INT8 weights"),
        (_difference, r"operator 0 \(SUB\) is of two images; expected a constant"),
    ],
)
def test_what_is_no_layer_is_refused_by_name_and_place(
    build: Callable[[Foreign], None], says: str
) -> None:
    foreign = Foreign()
    build(foreign)
    with pytest.raises(UnreadableModel, match=says):
        read_back(foreign)


def test_a_layer_like_no_operator_is_named() -> None:
    foreign = Foreign()
    _even_kernel(foreign)
    with pytest.raises(InvalidSpec, match=r"layer 0:CONV_2D \(conv\) is like no operator .*kernel"):
        grouping(read_back(foreign))


def test_layers_refuse_circles_and_shapes_that_do_not_fit() -> None:
    network = network_of_file(FILE, "net")
    backwards = tuple(reversed(network.layers))
    with pytest.raises(InvalidSpec, match="a network of layers has no circles"):
        dataclasses.replace(network, layers=backwards)
    with pytest.raises(InvalidSpec, match="two layers are called"):
        dataclasses.replace(network, layers=(network.layers[0],) * 2)
    with pytest.raises(InvalidSpec, match="takes 9 px x 8, but input gives 9 px x 7"):
        dataclasses.replace(network, input_shape=(9, 7))
    with pytest.raises(InvalidSpec, match="'strange' is an output, but no layer"):
        dataclasses.replace(network, outputs=("strange",))


@pytest.mark.parametrize("length", [0, 7, 8, 40, len(FILE) // 2, len(FILE) - 1])
def test_a_file_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(UnreadableModel, match=r"no .tflite file|cut off or damaged"):
        network_of_file(FILE[:length], "net")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(FILE) - 1), st.integers(0, 255), st.integers(1, len(FILE)))
def test_a_damaged_file_is_read_or_refused_in_words(position: int, byte: int, length: int) -> None:
    damaged = bytearray(FILE)
    damaged[position] = byte
    try:
        grouping(network_of_file(bytes(damaged[:length]), "net"))
    except (UnreadableModel, InvalidSpec):
        return


def test_files_that_are_not_there_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnreadableModel, match=r"cannot read the model .*: No such file"):
        read_network(tmp_path / "none.tflite")
    large = tmp_path / "large.tflite"
    large.write_bytes(FILE)
    assert read_network(large).name == "large.tflite"
    monkeypatch.setattr(read, "MOST_BYTES", len(FILE) - 1)
    with pytest.raises(UnreadableModel, match=f"has {len(FILE)} bytes, at most"):
        read_network(large)
    text = tmp_path / "text.tflite"
    text.write_text("no model at all")
    with pytest.raises(UnreadableModel, match=r"text.tflite: bytes 4 to 8 are"):
        read_network(text)


PADDED = [
    name
    for name, operator in EXAMPLES.items()
    if operator.model_copy(update={"input_size": 8}).is_padded("symmetric")
]


@pytest.mark.parametrize("name", PADDED)
def test_operators_that_pad_as_torch_does_are_found_as_well(name: str) -> None:
    operator = EXAMPLES[name].model_copy(update={"input_size": 8})
    padded = operator.model_copy(update={"padding": "symmetric"})
    found = grouping(network_of_file(encode([padded]), "net"))
    for known in (operator, padded):
        ((chosen, _),) = tiling(found, {known.key: "measured"})
        assert chosen == known


def test_pooling_cuts_values_off_at_no_further_cost() -> None:
    foreign = Foreign(8)
    pooling = schema.Pool2DOptionsT(VALID, 2, 2, 2, 2, RELU)
    kind = OPTIONS.Pool2DOptions
    foreign.run(CODES.MAX_POOL_2D, [foreign.x], (1, 4, 4, 4), kind, pooling)
    assert keys(read_back(foreign)) == [
        "pool-in:8x8x4-out:4x4x4-pooled:max-kernel:2-stride:2-float32"
    ]
