import numpy as np
import pytest
from hypothesis import given, settings

from netspec.errors import EncodingError
from netspec.layers import LayerWeights, Parameters, layer_name
from netspec.networks import mobilenet_v2
from netspec.operators import Convert, MBConv, operator_from_key
from netspec.tflite import FileOptions, encode
from netspec.tflite.contents import metadata_of, operators_of
from netspec.tflite.seeded_weights import seeded_parameters
from tests.unit.netspec.strategies import converts

BLOCK = MBConv(input_size=8, in_channels=8, out_channels=8, expand=3, residual=True)
INT8 = BLOCK.with_precision("int8")


def crossing(precision: str) -> Convert:
    fields = {"input_size": 8, "in_channels": 8, "out_channels": 8, "precision": precision}
    return Convert.model_validate(fields)


@settings(max_examples=25, deadline=None)
@given(converts())
def test_a_conversion_is_an_operator_with_a_key_and_one_layer(convert: Convert) -> None:
    assert operator_from_key(convert.key) == convert
    (layer,) = convert.layers
    assert (layer.name, layer.kind, layer.has_weights) == ("convert", "convert", False)


def test_a_conversion_keeps_its_channels() -> None:
    with pytest.raises(ValueError, match="a conversion keeps its channels, got 8 -> 9"):
        Convert(input_size=8, in_channels=8, out_channels=9)


def test_a_conversion_alone_is_one_quantize_or_dequantize() -> None:
    for precision, name, ends in (
        ("int8", "QUANTIZE", ("FLOAT32", "INT8")),
        ("float32", "DEQUANTIZE", ("INT8", "FLOAT32")),
    ):
        (found,) = operators_of(encode([crossing(precision)]))
        assert found.name == name
        assert (found.inputs[0].type, found.outputs[0].type) == ends


def test_precisions_change_where_a_conversion_stands_and_only_there() -> None:
    chain = (INT8, crossing("float32"), BLOCK, crossing("int8"), INT8)
    names = [one.name for one in operators_of(encode(chain))]
    block = ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD"]
    assert names == [*block, "DEQUANTIZE", *block, "QUANTIZE", *block]
    with pytest.raises(EncodingError, match="or a conversion wherever it changes"):
        encode((INT8, BLOCK))
    with pytest.raises(EncodingError, match="or a conversion wherever it changes"):
        encode((INT8, crossing("int8"), INT8))


def test_float16_halves_the_constants_and_expands_each_once() -> None:
    whole, half = encode([BLOCK]), encode([BLOCK], options=FileOptions(half_weights=True))
    added = [one for one in operators_of(half) if one.name == "DEQUANTIZE"]
    assert len(added) == 6
    assert {(one.version, one.inputs[0].type) for one in added} == {(3, "FLOAT16")}
    rest = [one.name for one in operators_of(half) if one.name != "DEQUANTIZE"]
    assert rest == [one.name for one in operators_of(whole)]


def test_float16_has_an_end() -> None:
    parameters = seeded_parameters([BLOCK])
    name = layer_name(0, BLOCK.layers[0])
    held = parameters.weights[name]
    huge = LayerWeights(held.weight, np.full_like(held.bias, 70_000))
    wrong = Parameters({**parameters.weights, name: huge}, {})
    with pytest.raises(EncodingError, match=r"0\.expand/bias has numbers beyond 65504"):
        encode([BLOCK], wrong, options=FileOptions(half_weights=True))


def test_uint8_is_for_int8_files() -> None:
    with pytest.raises(EncodingError, match="only an int8 file can take and give uint8"):
        encode([BLOCK], options=FileOptions(codes="uint8"))


def test_metadata_are_read_back_by_name() -> None:
    operators = mobilenet_v2(32, 0.35, 10, "int8").operators
    file = encode(operators, options=FileOptions(metadata={"a.json": b"{}", "b": b"\x00\xff"}))
    assert metadata_of(file, "a.json") == b"{}"
    assert metadata_of(file, "b") == b"\x00\xff"
    assert metadata_of(file, "c") is None
    assert operators_of(file) == operators_of(encode(operators))


def test_other_bytes_are_no_model() -> None:
    with pytest.raises(EncodingError, match="the identifier TFL3 is missing"):
        operators_of(b"PK\x03\x04 a zip archive")
