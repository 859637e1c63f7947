"""What a run's report says of a search over widths, and of how to make the run again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from search_client.recipe import Recipe
from search_client.runs.record import read_record
from search_client.search.derive import Derived
from search_client.search.history import History, SearchEpoch
from search_client.search.search import SearchResult
from search_client.stages.report import provenance_of, search_record
from tests.unit.search_client.tiny import tiny_space
from tests.unit.search_client.tiny_run import SETTINGS as TINY
from tests.unit.search_client.tiny_run import tiny_search

#: sizes vary fastest: 16 and 24 px at width 0.25, then at 0.5
SETTINGS = Recipe(sizes=(16, 24), widths=(0.25, 0.5)).model_copy(update={"space": tiny_space()})


def _epoch(variants: list[float]) -> SearchEpoch:
    return SearchEpoch("joint", 1, 1.0, 0.5, 3.0, 1.0, [[0.5, 0.5], [1.0]], variants)


def _result(variant: int) -> SearchResult:
    network = SETTINGS.spaces("int8")[variant].network([0, 0])
    found = Derived("argmax", variant, [0, 0], network, -1.0, (3.0,))
    epochs = [_epoch([0.7, 0.1, 0.1, 0.1]), _epoch([0.1, 0.2, 0.3, 0.4])]
    return SearchResult(found, found, (3.0,), History(epochs))


@pytest.mark.parametrize(("variant", "drawn"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_probabilities_are_of_the_width_that_was_found(variant: int, drawn: int) -> None:
    record = search_record(SETTINGS, _result(variant))
    assert (record.space.input_size, record.space.width) == (
        (16, 24)[variant % 2],
        (0.25, 0.5)[variant // 2],
    )
    wanted: list[tuple[tuple[float, ...], ...]] = [(), ()]
    wanted[drawn] = ((0.5, 0.5), (1.0,))
    assert [point.probabilities for point in record.points] == wanted


def test_a_record_tells_how_the_network_was_chosen() -> None:
    derivation = search_record(SETTINGS, _result(0)).derivation
    assert derivation is not None
    assert (derivation.rule, derivation.log_probability) == ("argmax", -1.0)
    assert derivation.predicted_ms == derivation.likeliest_ms == 3.0


def test_provenance_has_all_but_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_search(tmp_path)
    line = [
        "/usr/bin/search-client",
        "search",
        "--run",
        "a b",
        "--profiler-url",
        "http://me:pw@lab/",
    ]
    monkeypatch.setattr(sys, "argv", line)
    record = read_record(tmp_path)
    found = provenance_of(record, 48, 12)
    assert found.command == "search-client search --run 'a b' --profiler-url http://lab/"
    assert Recipe.model_validate(found.recipe) == TINY
    assert (found.fingerprint, found.data) == (record.fingerprint, record.data)
    assert (found.training_images, found.test_images, found.processes) == (48, 12, 1)
