"""Exported files: what they say of themselves, where they come from, and who may be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Self, cast

import pytest
import torch
from typer.core import TyperGroup, TyperOption
from typer.main import get_command
from typer.testing import CliRunner

from netspec.errors import UserError
from netspec.networks import mobilenet_v2
from netspec.operators import PRECISIONS, MBConv, Operator, operator_from_key
from netspec.spaces import Space, Stage
from netspec.tflite.contents import operators_of
from netspec.wire import Entry, JobRequest, ModelSubject, Snapshot
from search_client.cli import app
from search_client.commands.quantization.options import data_folder, integers
from search_client.data.batches import central_crop
from search_client.data.folders import NoClasses
from search_client.deployment.accuracy import LabelsDiffer, evaluate_file
from search_client.deployment.export import FORMS, NotQuantized, export, model_file, write
from search_client.deployment.logits import torch_logits
from search_client.deployment.metadata import Form, read_metadata
from search_client.deployment.origin import UnknownOrigin, find_origin
from search_client.deployment.parity import ParityFailed
from search_client.deployment.trained_network import (
    NoTrainedNetwork,
    Source,
    TrainedNetwork,
    load_trained_network,
    trained_network_names,
)
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig
from search_client.quantization.mixed_precision import conversions_of
from search_client.recipe import Recipe
from search_client.training.checkpoints import BadCheckpoint, Checkpoints, State, Stopped, save
from tests.integration.search_client.exported import CLASSES, NETWORK, trained_network
from tests.made_up import operator_entry
from tests.unit.search_client.tables import snapshot
from tests.unit.search_client.tiny import tiny_images

TEST = tiny_images(60, seed=1)
IMAGES = central_crop(TEST.images, 16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def trained(data: Path) -> TrainedNetwork:
    return trained_network(data)


@pytest.fixture(scope="module")
def run(trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    trained.save(folder, "searched")
    for form in FORMS:
        content = export(trained, form, IMAGES, TEST.labels)
        write(content, trained, folder / f"searched.{form}.tflite")
    return folder


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def command(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("form", FORMS)
def test_a_file_says_its_labels_its_input_and_its_source(run: Path, form: Form) -> None:
    said = read_metadata((run / f"searched.{form}.tflite").read_bytes())
    assert said is not None
    assert (said.labels, said.run, said.snapshot) == (CLASSES, "a run", "ab" * 32)
    assert said.input.type == {"float16": "float32"}.get(form, form)
    assert (said.input.mean is None) == (form in ("int8", "uint8"))
    assert (
        said.network_hash
        == NETWORK.with_precision("int8" if form in ("int8", "uint8") else "float32").content_hash
    )
    labels = (run / f"searched.{form}.labels.txt").read_text()
    assert labels == "class 0\nclass 1\nclass 2\n"


@pytest.mark.parametrize(("form", "ends"), [("int8", "INT8"), ("uint8", "UINT8")])
def test_no_tensor_of_an_int8_file_is_float(run: Path, form: Form, ends: str) -> None:
    operators = operators_of((run / f"searched.{form}.tflite").read_bytes())
    types = {t.type for one in operators for t in (*one.inputs, *one.outputs)}
    assert types <= {"INT8", "UINT8", "INT32"}
    assert operators[0].inputs[0].type == operators[-1].outputs[0].type == ends


def test_uint8_costs_one_conversion_at_each_end_and_nothing_else(trained: TrainedNetwork) -> None:
    plain = operators_of(model_file(trained, "int8"))
    coded = operators_of(model_file(trained, "uint8"))
    assert coded[1:-1] == plain
    assert [coded[0].name, coded[-1].name] == ["QUANTIZE", "QUANTIZE"]


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


def test_verify_shows_every_kernel_set(run: Path) -> None:
    output = command("verify", run / "searched.int8.tflite", "--run", run)
    assert all(kernels in output for kernels in ("reference", "builtin", "xnnpack"))
    assert "on 60 images" in output


def test_verify_tells_in_json(run: Path) -> None:
    output = command("verify", run / "searched.float16.tflite", "--run", run, "--json")
    found = json.loads(output)
    assert found["images"] == 60
    assert found["parity"]["xnnpack"]["top1_agreement"] >= 0.995


def test_verify_refuses_a_file_that_is_not_what_was_trained(run: Path, tmp_path: Path) -> None:
    tampered = load_trained_network(run, "searched")
    assert tampered.quantized is not None
    with torch.no_grad():
        for layer in tampered.quantized.layers():
            if layer.layer.kind == "dense":
                layer.bias.add_(torch.tensor([9.0, 0.0, 0.0]))
    model = tmp_path / "tampered.tflite"
    model.write_bytes(model_file(tampered, "int8"))
    with pytest.raises(ParityFailed, match=r"layer \d\.dense is the first to stray"):
        command("verify", model, "--run", run)


def test_export_writes_a_verified_file(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "net.tflite"
    command("export", "--run", run, "--form", "uint8", "--out", out)
    assert out.read_bytes() == (run / "searched.uint8.tflite").read_bytes()
    assert out.with_suffix(".labels.txt").exists()


def test_evaluate_tells_in_json(run: Path, data: Path) -> None:
    model = run / "searched.float32.tflite"
    found = json.loads(command("evaluate", model, "--data", data, "--workers", "1", "--json"))
    assert found["images"] == 60


def test_evaluate_runs_a_trained_network_in_both_precisions(run: Path, data: Path) -> None:
    told = json.loads(command("evaluate", run / "searched.network.pt", "--data", data, "--json"))
    assert told.keys() == {"top1", "top1_int8", "images"}
    assert told["top1"] > 0.6
    assert told["top1_int8"] > 0.6


@pytest.mark.parametrize(
    "options",
    [["--ptq"], ["--epochs", "1", "--norm-epochs", "0", "--frozen-epochs", "1", "--background"]],
    ids=["post-training", "finetuned with a background"],
)
def test_quantize_leaves_a_verified_file_that_works(
    trained: TrainedNetwork, data: Path, tmp_path: Path, options: list[str]
) -> None:
    replace(trained, quantized=None).save(tmp_path, "net")
    command(
        "quantize",
        "--run",
        tmp_path,
        "--network",
        "net",
        "--as",
        "small",
        "--batch-size",
        "20",
        "--float-blocks",
        "2",
        *options,
    )
    file = tmp_path / "small.int8.tflite"
    assert evaluate_file(file, data, 1).top1 > 0.6
    names = [one.name for one in operators_of(file.read_bytes())]
    assert (names.count("QUANTIZE"), names.count("DEQUANTIZE")) == (1, 1)
    said = read_metadata(file.read_bytes())
    assert said is not None
    assert (said.labels[0] == "background") == ("--background" in options)
    command("verify", file, "--run", tmp_path)


def test_quantize_takes_over_the_classes_of_the_data(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    grown = replace(trained, quantized=None, classes=("class 2", "class 0", "class 1"))
    grown.save(tmp_path, "net")
    command("quantize", "--run", tmp_path, "--network", "net", "--ptq", "--classes-of-data")
    said = read_metadata((tmp_path / "net.int8.tflite").read_bytes())
    assert said is not None
    assert said.labels == CLASSES


def test_quantize_takes_weights_that_were_only_trained(
    trained: TrainedNetwork, data: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "float.pt"
    model = trained.model.state_dict()
    save({"network": NETWORK.model_dump_json(), "model": model}, weights)
    command("quantize", "--run", tmp_path, "--weights", weights, "--data", data, "--ptq")
    assert trained_network_names(tmp_path) == ("float",)
    made = load_trained_network(tmp_path, "float")
    assert (made.classes, made.source) == (CLASSES, Source(tmp_path.name, None, str(data)))
    assert evaluate_file(tmp_path / "float.int8.tflite", data, 1).top1 > 0.6
    save({"something": "else"}, weights)
    with pytest.raises(UserError, match="holds no trained network"):
        command("quantize", "--run", tmp_path, "--weights", weights, "--data", data, "--ptq")


FINETUNING = ("--epochs", "2", "--norm-epochs", "1", "--frozen-epochs", "1", "--batch-size", "20")


def quantized_by(folder: Path, *options: str | Path) -> dict[str, torch.Tensor]:
    """The int8 weights and ranges after `quantize`."""
    command("quantize", "--run", folder, "--network", "net", *FINETUNING, *options)
    quantized = load_trained_network(folder, "net").quantized
    assert quantized is not None
    return quantized.state_dict()


def test_quantize_goes_on_bit_for_bit_and_with_the_same_network_alone(
    trained: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "stopped"):
        replace(trained, quantized=None).save(make(tmp_path / name), "net")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    expected = quantized_by(whole)
    steps = iter(range(100))

    def interrupt(self: Checkpoints, state: Callable[[], State]) -> None:
        if next(steps) == 13:  # in the second epoch of 10 steps
            self.save(state())
            raise Stopped("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "step", interrupt)
        with pytest.raises(Stopped):
            quantized_by(stopped)
    assert not list(stopped.glob("*.tflite"))
    assert trained_network_names(stopped) == ("net",)
    resumed = quantized_by(stopped, "--resume")
    for name, value in expected.items():
        assert torch.equal(value, resumed[name]), name
    assert not list(stopped.glob("*unfinished*"))
    assert (stopped / "net.int8.tflite").is_file()
    with pytest.raises(BadCheckpoint, match="start without --resume"):
        quantized_by(stopped, "--resume")


def test_quantize_resumes_no_finetuning_of_other_weights(
    trained: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = replace(trained, quantized=None)
    fresh.save(tmp_path, "net")

    def interrupt(self: Checkpoints, state: Callable[[], State]) -> None:
        self.save(state())
        raise Stopped("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "step", interrupt)
        with pytest.raises(Stopped):
            quantized_by(tmp_path)
    torch.manual_seed(1)
    replace(fresh, model=FloatNetwork(NETWORK)).save(tmp_path, "net")
    with pytest.raises(BadCheckpoint, match="began from other weights"):
        quantized_by(tmp_path, "--resume")


def test_quantize_gives_the_same_network_of_images_left_on_disk(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    for name in ("memory", "disk"):
        replace(trained, quantized=None).save(make(tmp_path / name), "net")
    expected = quantized_by(tmp_path / "memory")
    on_disk = quantized_by(tmp_path / "disk", "--memory-gb", "0", "--workers", "0")
    for name, value in expected.items():
        assert torch.equal(value, on_disk[name]), name


@pytest.mark.parametrize(
    "option",
    [
        ("--epochs", "3"),
        ("--learning-rate", "0.1"),
        ("--norm-epochs", "0"),
        ("--frozen-epochs", "0"),
        ("--distillation", "0"),
        ("--resume",),
    ],
)
def test_post_training_refuses_what_finetuning_takes(
    tmp_path: Path, option: tuple[str, ...]
) -> None:
    with pytest.raises(UserError, match=rf"takes no {option[0]};"):
        command("quantize", "--run", tmp_path, "--ptq", *option)


@pytest.mark.parametrize("name", ["../../x", "a/b", "/x", ""])
def test_a_name_does_not_lead_out_of_the_run(
    trained: TrainedNetwork, tmp_path: Path, name: str
) -> None:
    run = make(tmp_path / "a" / "run")
    with pytest.raises(UserError, match="give a name without folders"):
        command("quantize", "--run", run, "--ptq", "--as", name)
    with pytest.raises(UserError, match="give a name without folders"):
        trained.save(run, name)
    with pytest.raises(UserError, match="give a name without folders"):
        load_trained_network(run, name)


def test_the_help_of_quantize_tells_the_defaults_there_are() -> None:
    config, settings = QatConfig(), Recipe()
    group = cast("TyperGroup", get_command(app))
    options = {
        option.name: cast("TyperOption", option) for option in group.commands["quantize"].params
    }
    for name in ("epochs", "learning_rate", "norm_epochs", "frozen_epochs", "distillation"):
        assert float(str(options[name].show_default)) == getattr(config, name)
    for name in ("workers", "memory_gb"):
        assert float(str(options[name].show_default)) == getattr(settings, name)


def test_options_of_other_shapes_are_refused() -> None:
    assert integers("3, 7", "--float-blocks") == (3, 7)
    with pytest.raises(UserError, match=r"--float-blocks 3-7: expected whole numbers"):
        integers("3-7", "--float-blocks")
    with pytest.raises(UserError, match="give their folder with --data"):
        data_folder(None, None)


def write_small_recipe(folder: Path) -> Path:
    recipe = folder / "recipe.toml"
    recipe.write_text(
        "baseline_width = 0.25\n[space]\ninput_size = 32\nwidth = 0.25\n"
        "stages = [{ channels = 24, depth = 1, stride = 2 }]\n"
    )
    return recipe


def small_table() -> dict[Operator, float]:
    """float32 2 ms, int8 1 ms; 7x7 in int8 3 ms."""
    stages = (Stage(channels=24, depth=1, stride=2),)
    space = Space(input_size=32, width=0.25, classes=10, stages=stages)
    operators = (
        operator
        for precision in PRECISIONS
        for operator in (
            *space.with_precision(precision).operators(),
            *mobilenet_v2(32, 0.25, 10, precision).operators,
        )
    )
    in_int8 = {True: 3.0, False: 1.0}
    return {
        operator: 2.0 if operator.precision == "float32" else in_int8["kernel:7" in operator.key]
        for operator in operators
    }


def test_the_report_on_int8_reads_a_snapshot(tmp_path: Path) -> None:
    path, recipe = tmp_path / "snapshot.json", write_small_recipe(tmp_path)
    path.write_text(snapshot(small_table()).model_dump_json())
    options = ("--snapshot", path, "--recipe", recipe, "--classes", "10")
    told = json.loads(command("quantization-report", *options, "--json"))
    slowest = operator_from_key(told["operators"][0]["key"])
    assert isinstance(slowest, MBConv)
    assert slowest.kernel == 7
    assert told["space"]["slower"] == 2
    shown = " ".join(command("quantization-report", *options).split())
    assert "7x7 blocks: 2 of 2 slower, int8 / float32 1.50" in shown


class FakeProfiler:
    """Answers what the commands ask, and remembers the jobs."""

    def __init__(self, table: Snapshot) -> None:
        self.table = table
        self.requests: list[JobRequest] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def target(self, _wished: str | None) -> SimpleNamespace:
        return SimpleNamespace(id=self.table.target_id)

    def upload_model(self, model: bytes, name: str) -> ModelSubject:
        return ModelSubject(sha256=hashlib.sha256(model).hexdigest(), name=name)

    def create_job(self, request: JobRequest) -> SimpleNamespace:
        self.requests.append(request)
        return SimpleNamespace(id="job", reused=0, tasks=0)

    def wait(self, job: SimpleNamespace, _on_progress: object) -> SimpleNamespace:
        return job

    def entries(self, _job_id: str) -> dict[str, Entry]:
        (model,) = self.requests[-1].models
        entry = operator_entry(NETWORK.operators[0], 1.25)
        return {model.sha256: entry}

    def publish(self, _target_id: str) -> Snapshot:
        return self.table


def test_evaluate_has_the_profiler_measure_the_file(
    run: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiler = FakeProfiler(snapshot({}))
    monkeypatch.setattr(
        "search_client.commands.quantization.evaluate.ProfilerClient", lambda _url: profiler
    )
    model = run / "searched.int8.tflite"
    told = json.loads(
        command("evaluate", model, "--data", data, "--workers", "1", "--measure", "--json")
    )
    assert told["latency_ms"] == 1.25
    assert told["target"] == profiler.table.target_id
    assert [request.rounds for request in profiler.requests] == [40]


def test_the_report_on_int8_has_conversions_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_small_recipe(tmp_path)
    conversions = conversions_of(mobilenet_v2(32, 0.25, 10))
    profiler = FakeProfiler(snapshot({**small_table(), **dict.fromkeys(conversions, 0.5)}))
    monkeypatch.setattr(
        "search_client.commands.quantization.report.ProfilerClient", lambda _url: profiler
    )
    told = json.loads(
        command(
            "quantization-report",
            "--recipe",
            recipe,
            "--classes",
            "10",
            "--profile-conversions",
            "--json",
        )
    )
    assert [request.operators for request in profiler.requests] == [conversions]
    assert told["networks"][0]["missing"] == []
