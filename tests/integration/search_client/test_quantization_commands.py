"""`quantize`, `export`, `verify`, `evaluate` and `quantization-report`, as they are typed."""

from __future__ import annotations

import hashlib
import json
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
from search_client.deployment.accuracy import evaluate_file
from search_client.deployment.export import model_file
from search_client.deployment.metadata import read_metadata
from search_client.deployment.parity import ParityFailed
from search_client.deployment.trained_network import (
    Source,
    TrainedNetwork,
    load_trained_network,
    trained_network_names,
)
from search_client.quantization.finetuning import QatConfig
from search_client.quantization.mixed_precision import conversions_of
from search_client.recipe import Recipe
from search_client.training.checkpoints import save
from tests.integration.search_client.exported import CLASSES, NETWORK, command
from tests.made_up import operator_entry
from tests.unit.search_client.tables import snapshot


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


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


def test_images_are_found_from_wherever_a_later_command_starts(
    trained: TrainedNetwork, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "float.pt"
    save(
        {"network": NETWORK.model_dump_json(), "model": trained.model.state_dict()},
        weights,
    )
    monkeypatch.chdir(data.parent)
    options = ("--weights", weights, "--ptq", "--images", "20")
    command("quantize", "--run", tmp_path, *options, "--data", data.name)
    monkeypatch.chdir(make(tmp_path / "elsewhere"))
    command("verify", tmp_path / "float.int8.tflite", "--run", "..", "--images", "20")
    made = load_trained_network(tmp_path, "float")
    moved = replace(made, source=replace(made.source, data=str(tmp_path / "gone")))
    moved.save(tmp_path, "float")
    with pytest.raises(UserError, match=r"gone, which is not there; give their folder with --data"):
        command("verify", tmp_path / "float.int8.tflite", "--run", "..")


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
        return SimpleNamespace(id=self.table.target_id, identity=self.table.identity)

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

    def visits(self, _target_id: str, _subject_hash: str) -> tuple[()]:
        return ()

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


def test_blocks_are_chosen_by_what_int8_costs_within_a_latency(run: Path, tmp_path: Path) -> None:
    operators = [
        operator for one in PRECISIONS for operator in NETWORK.with_precision(one).operators
    ]
    costs = {one: 2.0 if one.precision == "float32" else 1.0 for one in operators}
    conversions = conversions_of(NETWORK)
    saved = tmp_path / "snapshot.json"
    saved.write_text(snapshot({**costs, **dict.fromkeys(conversions, 0.25)}).model_dump_json())
    options = ("--run", run, "--snapshot", saved, "--batch-size", "20")
    blocks = [i for i, one in enumerate(NETWORK.operators) if one.place == "block"]
    int8_ms = float(len(NETWORK.operators))

    told = json.loads(command("sensitivity", *options, "--latency-bound", "100ms", "--json"))
    assert [row["block"] for row in told["blocks"]] == blocks
    assert {(row["int8_ms"], row["float32_ms"]) for row in told["blocks"]} == {(1.0, 2.0)}
    assert (told["int8_ms"], told["missing"]) == (int8_ms, [])
    worth = {row["block"] for row in told["blocks"] if row["gain_nats"] > 0}
    assert set(told["float_blocks"]) == worth

    nothing = json.loads(
        command("sensitivity", *options, "--latency-bound", f"{int8_ms}ms", "--json")
    )
    assert (nothing["float_blocks"], nothing["mixed_nats"]) == ([], told["int8_nats"])
    shown = " ".join(command("sensitivity", *options, "--latency-bound", f"{int8_ms}ms").split())
    assert "Within the bound no block is worth its price" in shown


def test_a_form_that_xnnpack_leaves_is_written_where_that_is_allowed(
    run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "wide.tflite"
    options = ("export", "--run", run, "--form", "int16x8", "--out", file)
    refused = CliRunner().invoke(app, [str(one) for one in options])
    assert refused.exit_code != 0
    assert not file.exists()
    assert "XNNPACK leaves" in command(*options, "--allow-partial")
    for written in (file, run / "searched.dynamic.tflite"):
        assert "The file computes what torch computes" in command("verify", written, "--run", run)
