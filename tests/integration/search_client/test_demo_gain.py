"""`benchmarks/accuracy/demo_gain.py`: seeds on a made-up table, measured on this host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.accuracy import demo_gain
from netspec.client import LatencyTable
from search_client.recipe import read_recipe
from tests.acceptance.commands import write_recipe
from tests.unit.search_client.tables import calibration, costs_around_the_baseline, snapshot


def test_seeds_are_trained_by_a_table_and_measured_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_gain, "TRAIN_IMAGES", 60)
    monkeypatch.setattr(demo_gain, "TEST_IMAGES", 30)
    recipe = write_recipe(tmp_path / "tiny.toml")
    run, results = tmp_path / "run", tmp_path / "lines.jsonl"
    run.mkdir()
    settings = read_recipe(str(recipe)).for_classes(10)
    both = [calibration("int8", 1.2), calibration("float32", 1.1)]
    LatencyTable(snapshot(costs_around_the_baseline(settings), both)).save(run / "table.json")
    given = [
        f"--run={run}",
        f"--results={results}",
        f"--recipe={recipe}",
        "--seeds=0",
        "--set=search.tolerance=0.2",
    ]
    demo_gain.main([*given, "--steps=train"])
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [(line["seed"], line["role"]) for line in lines] == [(0, "searched"), (0, "baseline")]
    assert "demo_slower_percent" not in json.loads(capsys.readouterr().out.splitlines()[-1])

    demo_gain.main([*given, "--rounds=1"])
    measured = [json.loads(line) for line in results.read_text().splitlines()][len(lines) :]
    assert {line["sha256"] for line in measured} == {line["sha256"] for line in lines}
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    latency_ms = {line["sha256"]: line["ms"] for line in measured}
    searched_ms, baseline_ms = (latency_ms[line["sha256"]] for line in lines)
    assert found["demo_slower_percent"] == round(100 * (searched_ms / baseline_ms - 1), 2)
