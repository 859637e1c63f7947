"""Signature, least runtime, scales of old runtimes, and the standard metadata of a classifier."""

import io
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from netspec.errors import EncodingError
from netspec.networks import mobilenet_v2
from netspec.operators import Conv, Operator
from netspec.tflite import FileOptions, encode
from netspec.tflite import builtins as encoded
from netspec.tflite.classifier_metadata import (
    ClassifierText,
    classifier_metadata,
    with_labels,
)
from netspec.tflite.contents import metadata_of
from netspec.tflite.runtimes import BUFFER, RuntimeVersion, least_runtime

INT8 = mobilenet_v2(32, 0.35, 10, "int8").operators
FLOAT = mobilenet_v2(32, 0.35, 10).operators
GROUPED = Conv(input_size=8, in_channels=8, out_channels=8, groups=2)


def least(operators: tuple[Operator, ...], **options: bool) -> str:
    found = metadata_of(encode(operators, options=FileOptions(signed=True, **options)), BUFFER)  # type: ignore[arg-type]
    assert found is not None
    assert len(found) == 16
    return found.rstrip(b"\0").decode()


def test_a_file_says_which_runtime_is_the_oldest() -> None:
    assert least(FLOAT) == "1.6.0"
    assert least(INT8) == "2.10.0"
    assert least(INT8, tensor_scales=True) == "1.14.0"
    assert least(FLOAT, half_weights=True) == "1.15.0"
    assert least((GROUPED,)) == "2.9.0"
    assert metadata_of(encode(INT8), BUFFER) is None


def test_an_operator_that_the_runtime_lacks_is_named() -> None:
    asked = FileOptions(runtime=RuntimeVersion.of("2.7"))
    with pytest.raises(EncodingError, match=r"runtime 2\.7 does not run FULLY_CONNECTED with a s"):
        encode(INT8, options=asked)
    with pytest.raises(EncodingError, match=r"does not run CONV_2D, which 2\.9 and later do"):
        encode((GROUPED,), options=asked)
    assert encode(FLOAT, options=asked)
    with pytest.raises(EncodingError, match="'new' is no version of a runtime"):
        RuntimeVersion.of("new")


def test_the_least_runtime_is_known_of_all_that_is_written() -> None:
    for code, versions in encoded._VERSIONS.items():
        for version in versions:
            assert least_runtime([(code, version)], channel_scales=False)
    with pytest.raises(EncodingError, match="RELU of version 99"):
        least_runtime([(schema.BuiltinOperator.RELU, 99)], channel_scales=False)


def test_one_scale_for_a_whole_weight_is_the_greatest_of_them() -> None:
    def dense_scales(file: bytes) -> np.ndarray:
        graph = schema.Model.GetRootAs(file, 0).Subgraphs(0)
        (weight,) = (
            tensor
            for tensor in map(graph.Tensors, range(graph.TensorsLength()))
            if tensor.Name().endswith(b"dense/weight")
        )
        return np.asarray(weight.Quantization().ScaleAsNumpy())

    by_channel = dense_scales(encode(INT8))
    by_tensor = dense_scales(encode(INT8, options=FileOptions(tensor_scales=True)))
    assert (len(by_channel), by_tensor.tolist()) == (10, [by_channel.max()])


def test_a_signature_names_input_and_output() -> None:
    runner = Interpreter(
        model_content=encode(FLOAT, options=FileOptions(signed=True)), num_threads=1
    ).get_signature_runner("serving_default")
    outputs = runner(image=np.zeros((1, 32, 32, 3), np.float32))
    assert {name: value.shape for name, value in outputs.items()} == {"logits": (1, 10)}


def test_metadata_hold_what_apps_read_and_labels_lie_behind_the_model() -> None:
    text = ClassifierText("net", "A classifier.", ("ant", "bee"), 32, (1.0, 2.0, 3.0), (4.0,) * 3)
    buffer = classifier_metadata(text)
    assert buffer[4:8] == b"M001"
    assert buffer == classifier_metadata(text)
    for said in (b"net", b"A classifier.", b"labels.txt", b"image", b"logits"):
        assert said in buffer
    for number in (1.0, 2.0, 3.0, 4.0):
        assert np.float32(number).tobytes() in buffer
    model = encode(FLOAT, options=FileOptions(metadata={"TFLITE_METADATA": buffer}))
    packed = with_labels(model, text.labels)
    assert packed.startswith(model)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read("labels.txt") == b"ant\nbee\n"
    assert packed == with_labels(model, text.labels)
    Interpreter(model_content=packed, num_threads=1).allocate_tensors()
