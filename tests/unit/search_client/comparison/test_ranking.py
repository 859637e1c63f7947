import math
from pathlib import Path

import pytest

from search_client.comparison.ranking import (
    FILE,
    PLOT,
    rank,
    tau_of,
    verdict,
)
from search_client.report.content import Ranking, Report
from search_client.report.page import write_report
from search_client.runs.load import read_run
from tests.unit.search_client.report import synthetic
from tests.unit.search_client.tiny import tiny_images
from tests.unit.search_client.tiny_run import QUIET, SETTINGS, changed, tiny_search


def test_a_tau_below_a_half_is_said_to_be_too_small() -> None:
    assert "no search by these scores can be expected to win" in verdict(0.49)
    assert "order networks as training does" in verdict(0.5)
    assert "below" in verdict(float("nan"))


def test_random_networks_are_scored_and_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = changed(search={**SETTINGS.search.model_dump(), "weights": "shared"})
    tiny_search(tmp_path, settings)
    trained = iter((0.3, 0.1, 0.2))
    monkeypatch.setattr(
        "search_client.comparison.ranking.train_network", lambda *_: (None, next(trained))
    )
    run = read_run(tmp_path)
    rows = rank(run, settings, tiny_images(48), tiny_images(12), tmp_path, QUIET, 3)
    assert [row.test_accuracy for row in rows] == [0.3, 0.1, 0.2]
    assert len({row.network.content_hash for row in rows}) == 3
    assert (tmp_path / FILE).is_file()
    assert b"<svg" in (tmp_path / PLOT).read_bytes()
    # Nothing is left to train: another training would end the iterator.
    assert rank(run, settings, tiny_images(48), tiny_images(12), tmp_path, QUIET, 3) == rows


def test_a_ranking_is_told_in_the_runs_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = changed(search={**SETTINGS.search.model_dump(), "weights": "shared"})
    tiny_search(tmp_path, settings)
    write_report(synthetic.report(synthetic.TINY), tmp_path)
    trained = iter((0.3, 0.1, 0.2))
    monkeypatch.setattr(
        "search_client.comparison.ranking.train_network", lambda *_: (None, next(trained))
    )
    rows = rank(read_run(tmp_path), settings, tiny_images(48), tiny_images(12), tmp_path, QUIET, 3)
    ranking = Report.model_validate_json((tmp_path / "report.json").read_bytes()).ranking
    told = "Kendall" in (tmp_path / "report.html").read_text(encoding="utf-8")
    if math.isnan(tau_of(rows)):
        assert (ranking, told) == (None, False)
    else:
        assert (ranking, told) == (Ranking(networks=3, tau=tau_of(rows)), True)
