"""The numbers that the benchmarks of what a search gains end with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ttest_ind

from benchmarks.accuracy import demo_gain
from benchmarks.accuracy.gain_lines import Lines
from benchmarks.accuracy.gain_report import report
from netspec.networks import mobilenet_v2


def _line(arm: str, seed: int, accuracy: float, content_hash: str = "") -> dict[str, Any]:
    content_hash = content_hash or f"{arm} {seed}"
    return {
        "kind": "training",
        "arm": arm,
        "seed": seed,
        "content_hash": content_hash,
        "accuracy": accuracy,
        "seconds": 1800,
    }


def test_gains_are_differences_of_means_with_welchs_interval() -> None:
    ours, theirs = [0.84, 0.85, 0.86], [0.81, 0.83]
    rows = [_line("search", seed, value) for seed, value in enumerate(ours)]
    rows += [_line("random", seed, value) for seed, value in enumerate(theirs)]
    found = report(rows)
    assert found["gain_over_mean_random_points"] == 3.0
    test = ttest_ind([84, 85, 86], [81, 83], equal_var=False)
    low, high = found["gain_over_mean_random_interval"]
    assert (low, high) == pytest.approx(test.confidence_interval(0.95), abs=0.01)
    assert found["gain_over_mean_random_p"] == pytest.approx(test.pvalue, rel=0.05)
    assert found["search_training_hours"] == 1.5
    # Nothing is said of arms without networks.
    assert "gain_over_mobilenet_points" not in found


def test_what_is_trained_alone_is_compared_by_itself() -> None:
    rows = [_line("search", seed, 0.89 + seed / 50) for seed in range(2)]
    rows += [_line("search alone", seed, 0.84 + seed / 100) for seed in range(2)]
    rows += [_line("random alone", seed, 0.81 + seed / 100) for seed in range(3)]
    rows += [_line("mobilenet", seed, 0.80 + seed / 100, "best") for seed in range(2)]
    scores = zip(range(3), (0.3, 0.2, 0.1), strict=True)
    rows += [
        {"kind": "score", "content_hash": f"random alone {seed}", "score": score}
        for seed, score in scores
    ]
    found = report(rows)
    assert found["alone_gain_over_mean_random_points"] == 2.5
    assert found["alone_gain_over_mobilenet_points"] == 4.0
    assert found["gain_over_mobilenet_points"] == 9.5
    assert found["alone_kendall_tau"] == -1.0
    assert "kendall_tau" not in found


def test_mobilenet_is_the_best_by_its_first_seed_alone() -> None:
    rows = [
        _line("mobilenet", 0, 0.80, "small"),
        _line("mobilenet", 0, 0.82, "large"),
        _line("mobilenet", 1, 0.78, "large"),
    ]
    found = report(rows)
    assert (found["mobilenet_networks"], found["mobilenet_accuracy_percent"]) == (2, 80.0)


def test_latencies_and_tau_are_of_the_networks_that_were_measured_and_scored(
    tmp_path: Path,
) -> None:
    rows = [_line("random", seed, 0.8 + seed / 100) for seed in range(3)]
    rows += [_line("search", 0, 0.9)]
    scores = zip(("random 0", "random 1", "random 2"), (0.1, 0.3, 0.2), strict=True)
    rows += [{"kind": "score", "content_hash": name, "score": score} for name, score in scores]
    rows += [
        {"kind": "latency", "content_hash": name, "ms": ms}
        for name, ms in (("random 0", 0.1), ("random 1", 0.3), ("search 0", 0.202))
    ]
    found = report(rows, tmp_path / "gain.svg")
    assert found["kendall_tau"] == pytest.approx(1 / 3, abs=1e-3)
    assert (found["random_measured_ms"], found["search_measured_ms"]) == (0.2, 0.202)
    assert found["latency_spread_percent"] == 1.0
    assert "<svg" in (tmp_path / "gain.svg").read_text()


def test_the_demos_gain_has_an_interval_and_says_how_equal_the_latencies_are() -> None:
    gains, slower = (0.01, 0.02, 0.06), (0.0, 0.009, -0.03)
    rows = [
        {
            "searched": {"accuracy_int8": 0.8 + gain, "ms": 0.1 * (1 + more)},
            "baseline": {"accuracy_int8": 0.8, "ms": 0.1},
        }
        for gain, more in zip(gains, slower, strict=True)
    ]
    found = demo_gain.report(rows)
    assert (found["demo_gain_points"], found["demo_gain_sd"]) == (3.0, 2.65)
    # Student's t of two degrees of freedom: 4.303, times 2.65 / sqrt(3).
    assert found["demo_gain_interval"] == pytest.approx([3 - 6.57, 3 + 6.57], abs=0.02)
    assert (found["demo_ahead"], found["demo_equal_latency"]) == (3, 2)
    assert (found["demo_slower_percent"], found["demo_slower_percent_worst"]) == (-0.7, 0.9)
    assert "demo_gain_interval" not in demo_gain.report(rows[:1])


def test_every_seed_of_the_demo_has_images_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_gain, "TRAIN_IMAGES", 20)
    monkeypatch.setattr(demo_gain, "TEST_IMAGES", 30)
    images = []
    for seed in (0, 1):
        recipe = demo_gain.Experiment(tmp_path, "demo", ["sizes=[64]"]).seeded(seed)
        assert (recipe.seed, recipe.search.seed, recipe.sizes) == (seed, seed, (64,))
        demo_gain.cut(recipe, tmp_path / "data")
        images.append({path.read_bytes() for path in (tmp_path / "data").rglob("*.png")})
    assert [len(some) for some in images] == [50, 50]
    assert not images[0] & images[1]


def test_a_seed_counts_once_both_networks_are_trained(tmp_path: Path) -> None:
    results = demo_gain.Results(tmp_path / "lines.jsonl")
    for seed, role in ((0, "searched"), (0, "baseline"), (1, "searched")):
        results.add({"seed": seed, "role": role, "sha256": f"{role}-{seed}"})
    results.add({"sha256": "searched-0", "ms": 0.1})
    (pair,) = demo_gain.Results(tmp_path / "lines.jsonl").pairs()
    assert (pair["seed"], pair["searched"]["ms"], pair["baseline"]["ms"]) == (0, 0.1, None)


def test_an_arm_is_made_of_what_is_as_fast_as_the_reference(tmp_path: Path) -> None:
    networks = {width: mobilenet_v2(32, width, 10) for width in (0.1, 0.2, 0.3, 0.4, 0.5)}
    chosen = [
        ("mobilenet", 0, 0, 0.1),
        ("search", 0, 0, 0.2),
        ("search", 0, 1, 0.3),
        ("search", 0, 2, 0.4),
        ("search", 1, 0, 0.2),
        ("search", 2, 0, 0.4),
    ]
    lines = Lines(tmp_path / "lines.jsonl", "target")
    for arm, seed, rank, width in chosen:
        network = networks[width]
        lines.add(
            {
                "kind": "network",
                "arm": arm,
                "seed": seed,
                "rank": rank,
                "content_hash": network.content_hash,
                "network": network.model_dump(mode="json"),
            }
        )
    # Before anything is measured, the best.
    assert lines.networks("search") == [networks[0.2], networks[0.2], networks[0.4]]
    for width, ms in ((0.1, 1.0), (0.2, 1.02), (0.3, 1.009), (0.4, 0.991)):
        lines.add({"kind": "latency", "content_hash": networks[width].content_hash, "ms": ms})
    # The first of the first seed's that is, none of the second's, the third's only one.
    assert lines.networks("search") == [networks[0.3], networks[0.4]]
    assert lines.networks("search", 1) == [networks[0.3]]
    assert lines.networks("mobilenet") == [networks[0.1]]
