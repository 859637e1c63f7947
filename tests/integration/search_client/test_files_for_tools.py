"""Exported files as other makers' tools and older runtimes take them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from netspec.errors import UserError
from netspec.tflite.classifier_metadata import BUFFER as APPS
from netspec.tflite.contents import metadata_of, operators_of
from netspec.tflite.runtimes import BUFFER as LEAST_RUNTIME
from search_client.deployment.export import FORMS, QUANTIZED, model_file
from search_client.deployment.litert import TFLiteClassifier
from search_client.deployment.logits import to_pixels
from search_client.deployment.metadata import Form
from search_client.deployment.origin import find_origin
from search_client.deployment.trained_network import (
    TrainedNetwork,
    renormalised,
)
from search_client.networks.layers import FloatNetwork
from search_client.networks.normalisation import INCEPTION
from tests.integration.search_client.exported import CLASSES, IMAGES, command


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_called_by_its_signature(run: Path, form: Form) -> None:
    content = (run / f"searched.{form}.tflite").read_bytes()
    interpreter = Interpreter(model_content=content, num_threads=1)
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["logits"]}
    }
    runner = interpreter.get_signature_runner()
    kind = {"int8": np.int8, "uint8": np.uint8}.get(form, np.float32)
    assert runner(image=np.zeros((1, 16, 16, 3), kind))["logits"].shape == (1, 3)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_tells_apps_its_labels_and_its_normalisation(run: Path, form: Form) -> None:
    content = (run / f"searched.{form}.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES)
    said = metadata_of(content, APPS)
    assert said is not None
    # pixels of the mean colour and of the deviation, or of the code that stands for 0
    coded = form in QUANTIZED
    mean = np.array([114] * 3 if coded else [0.485 * 255, 0.456 * 255, 0.406 * 255], np.float32)
    assert mean.tobytes() in said
    if form in ("int8", "uint8"):
        details = Interpreter(model_content=content, num_threads=1).get_input_details()[0]
        scale, zero_point = details["quantization"]
        # An app that normalises and then quantizes gives the pixels themselves.
        assert np.array([1 / scale] * 3, np.float32).tobytes() in said
        assert zero_point == (114 if form == "uint8" else 114 - 128)


def test_a_file_of_another_normalisation_says_so_and_is_run_so(trained: TrainedNetwork) -> None:
    model = FloatNetwork(trained.network, 0.0, renormalised(INCEPTION))
    model.load_state_dict(trained.model.state_dict())
    other = replace(trained, model=model.eval(), quantized=None)
    content = model_file(other, "float32")
    assert np.array([127.5] * 3, np.float32).tobytes() in (metadata_of(content, APPS) or b"")
    pixels = to_pixels(IMAGES[:2])
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    wanted = runner(image=(pixels[:1].astype(np.float32) / 127.5) - 1)["logits"]
    found = TFLiteClassifier(content).logits(pixels)
    assert np.allclose(found[0], wanted[0], atol=1e-4)


@pytest.mark.parametrize("form", ["float32", "float16"])
def test_a_float_file_of_uniform_images_normalises_by_itself(
    run: Path, form: Form, tmp_path: Path
) -> None:
    out = tmp_path / "uniform.tflite"
    # Compared with torch before it is written.
    command("export", "--run", run, "--form", form, "--uniform-input", "--out", out)
    content = out.read_bytes()
    said = metadata_of(content, APPS) or b""
    assert said.count(np.array([127.5] * 3, np.float32).tobytes()) == 2
    plain = operators_of((run / f"searched.{form}.tflite").read_bytes())
    found = operators_of(content)
    assert len(found) == len(plain) + 2
    assert find_origin(content, run)[1] == form
    with pytest.raises(UserError, match="--uniform-input is of float32 and float16, not int8"):
        command("export", "--run", run, "--uniform-input", "--out", out)


def test_a_file_for_an_old_runtime_has_one_scale_for_its_classifier(
    run: Path, tmp_path: Path
) -> None:
    plain = (run / "searched.int8.tflite").read_bytes()
    assert (metadata_of(plain, LEAST_RUNTIME) or b"").startswith(b"2.10.0\0")
    out = tmp_path / "old.tflite"
    command("export", "--run", run, "--runtime", "2.7", "--out", out)
    content = out.read_bytes()
    assert (metadata_of(content, LEAST_RUNTIME) or b"").startswith(b"1.14.0\0")
    found, _ = find_origin(content, run)
    assert found.quantized is not None
    assert found.quantized.tensor_scales
    command("verify", out, "--run", run)
    chosen = tmp_path / "chosen.tflite"
    command("export", "--run", run, "--classifier-scales", "tensor", "--out", chosen)
    assert chosen.read_bytes() == content
