"""The curves of search, training and finetuning, as every observer is told them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from search_client.deployment.trained_network import NOWHERE, TrainedNetwork
from search_client.progress import Stages
from search_client.quantization.finetuning import QatConfig
from search_client.stages.quantize import QuantizeOptions, quantize_network
from search_client.stages.train import train_network
from tests.unit.search_client.tiny import tiny_images, tiny_space
from tests.unit.search_client.tiny_run import SETTINGS, changed, tiny_search


@dataclass
class Recorder:
    """Keeps what it is told."""

    points: list[tuple[str, int, dict[str, float]]] = field(default_factory=list)

    def __call__(self, part: str, step: int, values: Mapping[str, float]) -> None:
        self.points.append((part, step, dict(values)))

    def curve(self, part: str, name: str) -> list[tuple[int, float]]:
        return [(step, v[name]) for where, step, v in self.points if where == part and name in v]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_a_search_is_told_by_its_weight_steps(recorder: Recorder, tmp_path: Path) -> None:
    result = tiny_search(tmp_path, observers=[recorder])
    curve = recorder.curve("search", "expected_ms")
    steps = [step for step, _ in curve]
    assert steps == sorted(set(steps))
    assert steps[-1] == result.history.epochs[-1].weight_steps
    assert curve[-1][1] == pytest.approx(result.expected_ms[0])
    names = {"loss", "accuracy", "expected_ms", "over_reference", "entropy", "images_per_s"}
    assert {part for part, *_ in recorder.points} == {"search"}
    assert all(names <= set(values) for *_, values in recorder.points)


def test_training_and_finetuning_are_told_at_the_end_of_each_epoch(recorder: Recorder) -> None:
    settings = changed(train=SETTINGS.train.model_copy(update={"epochs": 2}))
    observed = Stages(Console(quiet=True), observers=[recorder])
    network = tiny_space().network([0, 6], "mine: 1 of 2")
    images = tiny_images(48)
    model, accuracy = train_network(network, images, tiny_images(12), settings, observed)
    assert {3, 6} <= {step for step, _ in recorder.curve("train/mine-1-of-2", "loss")}
    assert recorder.curve("train/mine-1-of-2", "test_accuracy") == [(6, accuracy)]
    rates = recorder.curve("train/mine-1-of-2", "learning_rate")
    assert rates[0] == (1, settings.train.learning_rate)
    recorder.points.clear()
    options = QuantizeOptions(QatConfig(epochs=1), batch_size=16)
    quantize_network(TrainedNetwork(images.classes, NOWHERE, model), images, options, observed)
    assert {part for part, *_ in recorder.points} == {"finetune/mine-1-of-2"}
    assert recorder.curve("finetune/mine-1-of-2", "loss")[-1][0] == 3


def test_points_that_come_too_soon_are_left_out(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    observed = Stages(Console(quiet=True), observers=[recorder])
    for step in range(5):
        observed.observe("train/a", step, {})
        clock[0] += 0.06
    observed.observe("train/b", 0, {})
    observed.observe("train/a", 5, {}, now=True)
    told = [(part, step) for part, step, _ in recorder.points]
    assert told == [("train/a", 0), ("train/a", 2), ("train/a", 4), ("train/b", 0), ("train/a", 5)]
