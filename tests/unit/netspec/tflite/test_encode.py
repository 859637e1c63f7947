"""The structure of encoded files, read back through the flatbuffers schema."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from netspec.errors import EncodingError
from netspec.layers import INPUT, ActivationRange, LayerWeights, Parameters
from netspec.networks import mobilenet_v2
from netspec.operators import Classifier, HeadConv, MBConv, Operator, Precision, StemConv
from netspec.tflite import encode
from netspec.tflite.seeded_weights import seeded_parameters

STEM = StemConv(input_size=9, in_channels=3, out_channels=8, stride=2)
BLOCK = MBConv(
    input_size=5,
    in_channels=8,
    out_channels=8,
    kernel=5,
    expand=3,
    residual=True,
    activation="relu",
)
CLASSIFIER = Classifier(input_size=5, in_channels=8, out_channels=10)
CHAIN: tuple[Operator, ...] = (STEM, BLOCK, CLASSIFIER)
CHAIN_INT8 = tuple(operator.with_precision("int8") for operator in CHAIN)

CODES = schema.BuiltinOperator
FLOAT32, INT8, INT32 = (
    schema.TensorType.FLOAT32,
    schema.TensorType.INT8,
    schema.TensorType.INT32,
)


def decode(model: bytes) -> Any:
    assert model[4:8] == b"TFL3"
    return schema.ModelT.InitFromPackedBuf(model)


def tensors(model: bytes) -> Mapping[str, Any]:
    found = {t.name.decode(): t for t in decode(model).subgraphs[0].tensors}
    assert len(found) == len(decode(model).subgraphs[0].tensors)
    return found


def versions(model: bytes) -> list[tuple[int, int]]:
    decoded = decode(model)
    codes = [decoded.operatorCodes[op.opcodeIndex] for op in decoded.subgraphs[0].operators]
    assert all(code.builtinCode == code.deprecatedBuiltinCode for code in codes)
    return [(code.builtinCode, code.version) for code in codes]


@pytest.mark.parametrize(("chain", "int8"), [(CHAIN, False), (CHAIN_INT8, True)])
def test_builtin_operators_and_their_versions(chain: tuple[Operator, ...], int8: bool) -> None:
    conv, other, dense = (3, 2, 4) if int8 else (1, 1, 1)
    assert versions(encode(chain)) == [
        (CODES.CONV_2D, conv),
        (CODES.CONV_2D, conv),
        (CODES.DEPTHWISE_CONV_2D, conv),
        (CODES.CONV_2D, conv),
        (CODES.ADD, other),
        (CODES.MEAN, other),
        (CODES.FULLY_CONNECTED, dense),
    ]


def test_shapes_and_wiring() -> None:
    graph = decode(encode(CHAIN)).subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    shapes = {name: list(t.shape) for name, t in zip(names, graph.tensors, strict=True)}
    assert shapes[INPUT] == [1, 9, 9, 3]
    assert shapes["0.conv"] == [1, 5, 5, 8]
    assert shapes["1.depthwise"] == [1, 5, 5, 24]
    assert shapes["1.depthwise/weight"] == [1, 5, 5, 24]
    assert shapes["1.project/weight"] == [8, 1, 1, 24]
    assert shapes["2.pool"] == [1, 8]
    assert shapes["2.dense"] == [1, 10]
    wiring = [([names[i] for i in op.inputs], names[op.outputs[0]]) for op in graph.operators]
    assert wiring == [
        ([INPUT, "0.conv/weight", "0.conv/bias"], "0.conv"),
        (["0.conv", "1.expand/weight", "1.expand/bias"], "1.expand"),
        (["1.expand", "1.depthwise/weight", "1.depthwise/bias"], "1.depthwise"),
        (["1.depthwise", "1.project/weight", "1.project/bias"], "1.project"),
        (["1.project", "0.conv"], "1.add"),
        (["1.add", "2.pool/axes"], "2.pool"),
        (["2.pool", "2.dense/weight", "2.dense/bias"], "2.dense"),
    ]
    assert [names[i] for i in (*graph.inputs, *graph.outputs)] == [INPUT, "2.dense"]


def test_options() -> None:
    stem, expand, depthwise, project, add, mean, dense = (
        operator.builtinOptions for operator in decode(encode(CHAIN)).subgraphs[0].operators
    )
    fused = schema.ActivationFunctionType
    for options, stride, activation in (
        (stem, 2, fused.RELU6),
        (expand, 1, fused.RELU),
        (depthwise, 1, fused.RELU),
        (project, 1, fused.NONE),
    ):
        assert options.padding == schema.Padding.SAME
        assert (options.strideH, options.strideW) == (stride, stride)
        assert (options.dilationHFactor, options.dilationWFactor) == (1, 1)
        assert options.fusedActivationFunction == activation
    assert depthwise.depthMultiplier == 1
    assert add.fusedActivationFunction == dense.fusedActivationFunction == fused.NONE
    assert not mean.keepDims


def test_float32_constants_are_the_given_ones() -> None:
    parameters = seeded_parameters(CHAIN, seed=5)
    model = encode(CHAIN, parameters)
    decoded, found = decode(model), tensors(model)
    for name, weights in parameters.weights.items():
        for what, array in (("weight", weights.weight), ("bias", weights.bias)):
            tensor = found[f"{name}/{what}"]
            assert tensor.type == FLOAT32
            stored = decoded.buffers[tensor.buffer].data.view("<f4").reshape(array.shape)
            assert np.array_equal(stored, array)
    assert encode(CHAIN, seed=5) == model
    assert encode(CHAIN, seed=6) != model


def test_int8_quantization_by_hand() -> None:
    classifier = Classifier(input_size=2, in_channels=2, out_channels=2, precision="int8")
    parameters = Parameters(
        weights={
            "0.dense": LayerWeights(
                weight=np.array([[1.27, -0.5], [0.0, 0.254]], np.float32),
                bias=np.array([1.0, -0.004], np.float32),
            )
        },
        ranges={
            INPUT: ActivationRange(-51.2, 51.0 - 0.2),
            "0.pool": ActivationRange(0.0, 25.5),
            "0.dense": ActivationRange(-12.75, 12.75),
        },
    )
    model = encode((classifier,), parameters)
    decoded, found = decode(model), tensors(model)

    def check_quantization(name: str, scales: list[float], zero_points: list[int]) -> None:
        held = found[name].quantization
        assert held.scale == pytest.approx(scales)
        assert held.zeroPoint.tolist() == zero_points
        assert held.quantizedDimension == 0

    def codes(name: str, dtype: str) -> list[int]:
        stored: list[int] = decoded.buffers[found[name].buffer].data.view(dtype).tolist()
        return stored

    check_quantization(INPUT, [0.4], [0])
    check_quantization("0.pool", [0.1], [-128])
    check_quantization("0.dense/weight", [0.01, 0.002], [0, 0])
    assert codes("0.dense/weight", "i1") == [127, -50, 0, 127]
    check_quantization("0.dense/bias", [0.001, 0.0002], [0, 0])
    assert codes("0.dense/bias", "<i4") == [1000, -20]
    assert found[INPUT].type == found["0.dense"].type == INT8
    assert found["0.dense/weight"].type == INT8
    assert found["0.dense/bias"].type == INT32


def test_depthwise_scales_run_along_the_last_axis() -> None:
    found = tensors(encode(CHAIN_INT8))
    depthwise = found["1.depthwise/weight"].quantization
    assert (len(depthwise.scale), depthwise.quantizedDimension) == (24, 3)
    project = found["1.project/weight"].quantization
    assert (len(project.scale), project.quantizedDimension) == (8, 0)


@pytest.mark.parametrize("chain", [CHAIN, CHAIN_INT8])
def test_constants_start_at_multiples_of_16_bytes(chain: tuple[Operator, ...]) -> None:
    model = encode(chain)
    root = schema.Model.GetRootAs(model, 0)
    start = np.frombuffer(model, np.uint8).ctypes.data
    offsets = [
        root.Buffers(i).DataAsNumpy().ctypes.data - start for i in range(1, root.BuffersLength())
    ]
    assert len(offsets) == 11
    assert all(offset % 16 == 0 for offset in offsets)
    assert root.Buffers(0).DataIsNone()


def test_a_network_of_both_precisions_is_refused() -> None:
    with pytest.raises(EncodingError, match="the operators of one file need one precision"):
        encode((STEM, BLOCK.with_precision("int8")))


@pytest.mark.parametrize("change", [{"input_size": 9}, {"in_channels": 16, "out_channels": 16}])
def test_operators_that_form_no_chain_are_refused(change: dict[str, int]) -> None:
    block = BLOCK.model_copy(update=change)
    with pytest.raises(EncodingError) as caught:
        encode((STEM, block))
    assert str(caught.value).startswith(f"{block.key} does not follow {STEM.key}")


def test_nothing_is_refused() -> None:
    with pytest.raises(EncodingError, match="there is nothing to encode"):
        encode(())


@pytest.mark.parametrize(("precision", "gib"), [("float32", "16.1"), ("int8", "4.0")])
def test_more_weights_than_a_file_holds_are_refused(precision: Precision, gib: str) -> None:
    # 2 x 16384 x 131072 = 2^32 weights of the two 1x1 convolutions, and 11 x 11 x 131072.
    block = MBConv(
        input_size=4,
        in_channels=16384,
        out_channels=16384,
        kernel=11,
        expand=8,
        precision=precision,
    )
    with pytest.raises(EncodingError, match=rf"has {gib} GiB of weights"):
        encode((block,))


def test_missing_weights_are_named() -> None:
    parameters = seeded_parameters(CHAIN)
    left = {name: w for name, w in parameters.weights.items() if name != "1.project"}
    with pytest.raises(EncodingError, match=r"layer 1\.project has no weights.*\(8, 1, 1, 24\)"):
        encode(CHAIN, replace(parameters, weights=left))


@pytest.mark.parametrize("name", [INPUT, "1.add"])
def test_missing_ranges_are_named(name: str) -> None:
    parameters = seeded_parameters(CHAIN_INT8)
    left = {other: held for other, held in parameters.ranges.items() if other != name}
    with pytest.raises(EncodingError, match=f"layer {name} has no activation range"):
        encode(CHAIN_INT8, replace(parameters, ranges=left))


def test_float32_needs_no_ranges() -> None:
    parameters = seeded_parameters(CHAIN)
    assert encode(CHAIN, replace(parameters, ranges={})) == encode(CHAIN, parameters)


@pytest.mark.parametrize("low_high", [(0.0, float("nan")), (float("-inf"), 0.0), (2.0, 1.0)])
def test_impossible_ranges_are_named(low_high: tuple[float, float]) -> None:
    parameters = seeded_parameters(CHAIN_INT8)
    ranges = {**parameters.ranges, "2.pool": ActivationRange(*low_high)}
    with pytest.raises(EncodingError, match=r"layer 2\.pool has the activation range"):
        encode(CHAIN_INT8, replace(parameters, ranges=ranges))


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        (np.zeros((8, 3, 3, 2), np.float32), np.zeros(8, np.float32), r"weight of shape \(8, 3,"),
        (np.zeros((8, 3, 3, 3), np.float32), np.zeros(7, np.float32), r"bias of shape \(7,\)"),
        (np.zeros((8, 3, 3, 3), np.float64), np.zeros(8, np.float32), "float64; expected"),
        (
            np.full((8, 3, 3, 3), np.inf, np.float32),
            np.zeros(8, np.float32),
            "weight with numbers that are not finite",
        ),
        (
            np.zeros((8, 3, 3, 3), np.float32),
            np.full(8, np.nan, np.float32),
            "bias with numbers that are not finite",
        ),
    ],
)
@pytest.mark.parametrize("chain", [CHAIN, CHAIN_INT8])
def test_wrong_weights_are_named(
    chain: tuple[Operator, ...], weight: Any, bias: Any, message: str
) -> None:
    parameters = seeded_parameters(chain)
    weights = {**parameters.weights, "0.conv": LayerWeights(weight, bias)}
    with pytest.raises(EncodingError, match=rf"layer 0\.conv has a .*{message}"):
        encode(chain, replace(parameters, weights=weights))


def test_weights_in_any_memory_order_give_the_same_bytes() -> None:
    head = HeadConv(input_size=2, in_channels=8, out_channels=16)
    parameters = seeded_parameters((head,))
    given = parameters.weights["0.conv"]
    strided = replace(given, weight=np.asfortranarray(given.weight))
    assert not strided.weight.flags.c_contiguous
    weights = {"0.conv": strided}
    assert encode((head,), replace(parameters, weights=weights)) == encode((head,), parameters)


def test_files_are_hardly_larger_than_their_constants() -> None:
    network = mobilenet_v2(96, 0.35, 10)
    parameters = seeded_parameters(network.operators)
    constants = sum(w.weight.nbytes + w.bias.nbytes for w in parameters.weights.values())
    assert len(encode(network.operators, parameters)) < constants + 64_000


def test_importing_the_encoder_loads_no_runtime() -> None:
    program = (
        "import sys, netspec.tflite; print([m for m in sys.modules if m == 'torch' or "
        "m.startswith('ai_edge_litert.') and m != 'ai_edge_litert.schema_py_generated'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
