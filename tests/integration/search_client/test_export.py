"""Exported files: what they say of themselves, where they come from, and who may be written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netspec.errors import UserError
from netspec.tflite.contents import operators_of
from search_client.data.folders import NoClasses
from search_client.deployment.accuracy import LabelsDiffer, evaluate_file
from search_client.deployment.export import FORMS, QUANTIZED, NotQuantized, model_file
from search_client.deployment.logits import torch_logits
from search_client.deployment.metadata import Form, read_metadata
from search_client.deployment.origin import UnknownOrigin, find_origin
from search_client.deployment.trained_network import (
    NoTrainedNetwork,
    TrainedNetwork,
    load_trained_network,
    trained_network_names,
)
from tests.integration.search_client.exported import CLASSES, IMAGES, NETWORK, TEST, command


@pytest.mark.parametrize("form", FORMS)
def test_a_file_says_its_labels_its_input_and_its_source(run: Path, form: Form) -> None:
    said = read_metadata((run / f"searched.{form}.tflite").read_bytes())
    assert said is not None
    assert (said.labels, said.run, said.snapshot) == (CLASSES, "a run", "ab" * 32)
    assert said.form == form
    assert said.input.type == (form if form in ("int8", "uint8") else "float32")
    assert (said.input.mean is None) == (form in ("int8", "uint8"))
    assert (
        said.network_hash
        == NETWORK.with_precision("int8" if form in QUANTIZED else "float32").content_hash
    )
    labels = (run / f"searched.{form}.labels.txt").read_text()
    assert labels == "class 0\nclass 1\nclass 2\n"


def test_no_tensor_of_an_int8_file_is_float(run: Path) -> None:
    operators = operators_of((run / "searched.int8.tflite").read_bytes())
    types = {t.type for one in operators for t in (*one.inputs, *one.outputs)}
    assert types == {"INT8", "INT32"}


def test_uint8_costs_two_conversions_at_each_end_and_nothing_else(trained: TrainedNetwork) -> None:
    plain = operators_of(model_file(trained, "int8"))
    coded = operators_of(model_file(trained, "uint8"))
    assert coded[2:-2] == plain
    names = [one.name for one in (*coded[:2], *coded[-2:])]
    assert names == ["DEQUANTIZE", "QUANTIZE"] * 2
    assert coded[0].inputs[0].type == coded[-1].outputs[0].type == "UINT8"


@pytest.mark.parametrize("form", FORMS)
def test_the_origin_of_a_file_is_found_in_its_run(run: Path, form: Form) -> None:
    found, seen = find_origin((run / f"searched.{form}.tflite").read_bytes(), run)
    assert seen == form
    assert found.classes == CLASSES


def test_a_saved_network_computes_the_same_again(trained: TrainedNetwork, run: Path) -> None:
    loaded = load_trained_network(run, "searched")
    assert loaded.source == trained.source
    assert trained.quantized is not None
    assert loaded.quantized is not None
    for one, other in ((trained.model, loaded.model), (trained.quantized, loaded.quantized)):
        assert (torch_logits(one, IMAGES) == torch_logits(other, IMAGES)).all()
    assert trained_network_names(run) == ("searched",)
    with pytest.raises(NoTrainedNetwork, match=r"no trained network 'lost' \(it holds: searched\)"):
        load_trained_network(run, "lost")


def test_what_was_not_quantized_has_no_int8_file(trained: TrainedNetwork) -> None:
    plain = replace(trained, quantized=None)
    with pytest.raises(NotQuantized, match="search-client quantize"):
        model_file(plain, "int8")


def test_a_file_of_another_network_has_no_origin(trained: TrainedNetwork, tmp_path: Path) -> None:
    replace(trained, classes=("a", "b", "c")).save(tmp_path, "other")
    with pytest.raises(UnknownOrigin, match=r"it holds: other\); give the run"):
        find_origin(model_file(trained, "int8"), tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_files_own_accuracy_is_that_of_its_logits(
    run: Path, data: Path, trained: TrainedNetwork, workers: int
) -> None:
    found = evaluate_file(run / "searched.int8.tflite", data, workers)
    assert trained.quantized is not None
    chosen = torch_logits(trained.quantized, IMAGES).argmax(axis=1)
    assert found.images == 60
    assert found.top1 == pytest.approx((chosen == TEST.labels.numpy()).mean(), abs=1.5 / 60)
    assert found.top1 > 0.6
    assert found.top5 == 1.0


def test_images_of_classes_that_a_model_does_not_know_are_refused(
    run: Path, tmp_path: Path
) -> None:
    with pytest.raises(NoClasses, match="holds no classes with images"):
        evaluate_file(run / "searched.int8.tflite", tmp_path)
    for name in ("class 0", "zebra"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"")
    with pytest.raises(LabelsDiffer, match="has no class zebra; it knows 3"):
        evaluate_file(run / "searched.int8.tflite", tmp_path)
    with pytest.raises(UserError, match="there is no model"):
        command("evaluate", run / "lost.tflite", "--data", tmp_path)
