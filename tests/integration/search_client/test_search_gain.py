"""`benchmarks/accuracy/search_gain.py` as a whole, on a made-up table and networks of seconds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.accuracy import gain_networks, search_gain
from netspec.client import LatencyTable
from search_client.recipe import read_recipe
from tests.acceptance.commands import write_data, write_recipe
from tests.unit.search_client.tables import calibration, costs_around_the_baseline, snapshot

SETTINGS = [
    "search.method=evolution",
    "search.weights=shared",
    "search.sampling=on_target",
    "search.tolerance=0.05",
    "search.evaluations=3",
    "search.scoring_images=20",
    "search.recalibration_images=20",
    "train.start=supernet",
    "train.inherit.epochs_share=0.5",
    "train.inherit.distillation=0",
]


def test_all_arms_share_a_supernet_and_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = {"search": 2, "random": 2, "random search": 1}
    monkeypatch.setattr(gain_networks, "SEEDS", seeds)
    monkeypatch.setattr(search_gain, "ALONE", {"search alone": 1, "random alone": 1})
    monkeypatch.setattr(gain_networks, "BEST", 2)
    monkeypatch.setattr(gain_networks, "DRAWN", 3)
    monkeypatch.setattr(gain_networks, "DRAWN_WITHIN", 0.05)
    monkeypatch.setattr(gain_networks, "SIZES", (32,))
    monkeypatch.setattr(gain_networks, "WIDTHS", (0.25,))
    recipe = write_recipe(tmp_path / "tiny.toml")
    settings = read_recipe(str(recipe)).for_classes(10)
    table = snapshot(costs_around_the_baseline(settings), [calibration("int8", 1.2)])
    LatencyTable(table).save(tmp_path / "table.json")
    results = tmp_path / "lines.jsonl"
    given = [
        "choose",
        "score",
        "train",
        f"--data={write_data(tmp_path / 'data')}",
        f"--run={tmp_path / 'run'}",
        f"--results={results}",
        f"--recipe={recipe}",
        f"--snapshot={tmp_path / 'table.json'}",
        "--reference=32-0.25",
        "--supernets=1",
        *(f"--set={setting}" for setting in SETTINGS),
    ]
    search_gain.main(given)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    trainings = [line for line in lines if line["kind"] == "training"]
    assert Counter(line["arm"] for line in trainings) == {
        **seeds,
        **search_gain.ALONE,
        "mobilenet": search_gain.MOBILENET_SEEDS,
    }
    for line in trainings:
        alone = line["arm"] in {"mobilenet", *search_gain.ALONE}
        assert (line["start"], line["epochs"]) == (("scratch", 2) if alone else ("supernet", 1))
    for line in (line for line in lines if line["kind"] == "network"):
        assert line["predicted_ms"] == pytest.approx(line["reference_ms"], rel=0.05)
    ranks = Counter((line["arm"], line["rank"]) for line in lines if line["kind"] == "network")
    assert (ranks["search", 0], ranks["search", 1], ranks["random", 0]) == (2, 2, 3)
    hashes = {(line["arm"], line["seed"]): line["content_hash"] for line in trainings}
    assert hashes["search", 0] == hashes["search alone", 0]
    assert hashes["random", 0] == hashes["random alone", 0] != hashes["random", 1]
    scored = {line["content_hash"] for line in lines if line["kind"] == "score"}
    assert scored == {hashes["random", 0], hashes["random", 1]}
    assert [path.name for path in (tmp_path / "run").glob("seed-*")] == ["seed-0"]
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "gain_over_mean_random_points" in found
    assert "kendall_tau" in found

    search_gain.main([one for one in given if one not in search_gain.STEPS])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    with pytest.raises(SystemExit):
        search_gain.main(["trian", *given])
    assert "trian is none of choose, measure, score, train" in capsys.readouterr().err

    search_gain.main(given)
    assert results.read_text().splitlines() == [json.dumps(line) for line in lines]

    # Elsewhere, where there is no table and no supernet, what is trained alone goes on.
    kept = [line for line in lines if line.get("arm") != "search alone"]
    results.write_text("".join(json.dumps(line) + "\n" for line in kept))
    elsewhere = [
        one for one in given if not one.startswith(("choose", "score", "--snapshot", "--run"))
    ]
    search_gain.main([*elsewhere, f"--run={tmp_path / 'elsewhere'}", "--arms=search alone"])
    again = json.loads(results.read_text().splitlines()[-1])
    known = next(line for line in trainings if line["arm"] == "search alone")
    assert {**again, "seconds": 0} == {**known, "seconds": 0}
