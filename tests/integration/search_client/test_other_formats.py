"""Networks as ONNX and as programs of torch.export, run where they are for and compared."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from netspec.errors import UserError
from netspec.layers import Parameters
from netspec.networks import Network
from search_client.data.batches import CentralCrops, normalise
from search_client.deployment.export import NotQuantized, choose_scales
from search_client.deployment.logits import torch_logits
from search_client.deployment.metadata import NAME, Metadata
from search_client.deployment.onnx_file import onnx_file
from search_client.deployment.other_formats import OtherForm, export_other, other_file
from search_client.deployment.trained_network import TrainedNetwork, renormalised
from search_client.networks.layers import FloatNetwork, folded_parameters
from search_client.networks.normalisation import INCEPTION
from tests.integration.search_client.exported import CLASSES, IMAGES, TEST, command
from tests.unit.netspec.operators.examples import EXAMPLES


def session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("form", ["onnx", "onnx-int8", "torch"])
def test_a_network_computes_elsewhere_what_it_computes_here(
    trained: TrainedNetwork, form: OtherForm
) -> None:
    exported = export_other(trained, form, CentralCrops.of(IMAGES, TEST.labels))
    (found,) = exported.verification.parity.values()
    assert found.tied_agreement == 1
    assert found.max_difference < 1e-3 or form == "onnx-int8"
    assert found.max_steps is None or found.max_steps <= 2


def test_an_int8_file_is_computed_in_integers_and_takes_pixels(trained: TrainedNetwork) -> None:
    content = other_file(trained, "onnx-int8")
    model = onnx.load_from_string(content)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") > 5
    assert {
        one.data_type for one in model.graph.initializer if one.name.endswith("weight/codes")
    } == {onnx.TensorProto.INT8}
    said = Metadata.model_validate_json({one.key: one.value for one in model.metadata_props}[NAME])
    assert (said.labels, said.input.type, said.input.mean) == (CLASSES, "uint8", None)
    (logits,) = session(content).run(None, {"image": IMAGES[:3].numpy()})
    assert trained.quantized is not None
    assert np.abs(logits - torch_logits(trained.quantized, IMAGES[:3])).max() < 0.5


def test_one_scale_for_the_classifier_is_kept(trained: TrainedNetwork) -> None:
    choose_scales(trained, "tensor", None)
    try:
        assert export_other(trained, "onnx-int8", CentralCrops.of(IMAGES, TEST.labels)).content
    finally:
        choose_scales(trained, "channel", None)


def test_a_program_takes_any_number_of_images(trained: TrainedNetwork) -> None:
    other = replace(
        trained, model=FloatNetwork(trained.network, 0.0, renormalised(INCEPTION)).eval()
    )
    files = {NAME: ""}
    program = torch.export.load(io.BytesIO(other_file(other, "torch")), extra_files=files)
    said = Metadata.model_validate_json(files[NAME])
    assert said.input.mean == INCEPTION.mean
    images = IMAGES[:3].float() / 127.5 - 1
    with torch.no_grad():
        found = program.module()(images)
        assert torch.allclose(found, other.model(normalise(IMAGES[:3])), atol=1e-4)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_operator_computes_the_same_in_onnxruntime(name: str) -> None:
    operator = EXAMPLES[name]
    network = Network(name=name, operators=(operator,))
    torch.manual_seed(0)
    model = FloatNetwork(network).eval()
    x = torch.randn(2, operator.in_channels, operator.input_size, operator.input_size)
    with torch.no_grad():
        wanted = model(x).numpy()
    content = onnx_file(network.operators, Parameters(folded_parameters(model), {}), {})
    found = session(content).run(None, {"image": x.numpy()})[0]
    assert np.allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_the_command_writes_each_and_refuses_what_does_not_go_together(
    run: Path, trained: TrainedNetwork
) -> None:
    for form, suffix in (("onnx", "float32.onnx"), ("onnx-int8", "int8.onnx")):
        command("export", "--run", run, "--form", form)
        assert (run / f"searched.{suffix}").is_file()
    with pytest.raises(UserError, match=r"--runtime is of \.tflite files, and onnx is none"):
        command("export", "--run", run, "--form", "onnx", "--runtime", "2.7")
    with pytest.raises(NotQuantized):
        other_file(replace(trained, quantized=None), "onnx-int8")


def test_what_is_not_installed_is_one_line(
    trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"writing ONNX files needs the package onnx.*extra `onnx`"):
        other_file(trained, "onnx")
