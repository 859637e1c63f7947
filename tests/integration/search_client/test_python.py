"""The search in ten lines of Python, as the docs show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.client import LatencyTable
from search_client.recipe import read_recipe
from search_client.runs.record import read_record
from tests.acceptance.commands import write_data, write_recipe
from tests.docs.pages import all_blocks
from tests.unit.search_client.tables import calibration, costs_around_the_baseline, snapshot

CLASSES = 10


def test_the_docs_lines_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = [
        one
        for one in all_blocks()
        if "import Pipeline" in one.text and one.page == "docs/search.md"
    ]
    assert len([line for line in block.text.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(tmp_path / "tiny.toml")
    write_data(tmp_path / "photos")
    costs = costs_around_the_baseline(read_recipe(str(recipe)).for_classes(CLASSES))
    LatencyTable(snapshot(costs, [calibration("int8", 1.2)])).save("table.json")
    text = block.text.replace("ProfilerClient()", 'ProfilerClient.of_file("table.json")')
    names: dict[str, object] = {}
    exec(text.replace('"cifar"', f'"{recipe}"'), names)  # noqa: S102 - what a reader would type
    record = read_record(tmp_path / "runs" / "mine")
    assert record.settings.search.joint_epochs == 3
    assert record.found is not None
    assert record.found.network.name in capsys.readouterr().out
