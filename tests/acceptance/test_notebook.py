"""The example notebooks, run from nothing to their last cells as a reader runs them."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 120


def execute(name: str, folder: Path) -> Any:
    """A notebook's code cells with their outputs."""
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", str(EXAMPLES.parent))
        NotebookClient(
            notebook, timeout=TIMEOUT_S, resources={"metadata": {"path": str(EXAMPLES)}}
        ).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return execute("latency_in_the_gradient", tmp_path_factory.mktemp("ipython"))


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return execute("rank_your_networks", tmp_path_factory.mktemp("ipython"))


def printed(cell: Any) -> str:
    return "".join(one.text for one in cell.outputs if one.output_type == "stream")


def kind_of(output: Any) -> str:
    return str(output.output_type)


def assert_kept(name: str, cells: Any) -> list[Any]:
    """The cells as the repository has them, after a look that they have such outputs."""
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    kept = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in kept] == list(range(1, len(kept) + 1))
    for before, now in zip(kept, cells, strict=True):
        # What a cell prints may come in several pieces.
        kinds = [
            [kind for kind, _ in groupby(map(kind_of, cell.outputs))] for cell in (before, now)
        ]
        assert kinds[0] == kinds[1]
    streams = [one for cell in cells for one in cell.outputs if one.output_type == "stream"]
    assert {one.name for one in streams} == {"stdout"}
    return kept


def test_it_is_kept_with_the_outputs_that_a_reader_gets(executed: Any) -> None:
    kept = assert_kept("latency_in_the_gradient", executed)
    # What follows is searched, and another machine's rounding may choose otherwise.
    assert [printed(cell) for cell in kept[:2]] == [printed(cell) for cell in executed[:2]]


def test_the_table_is_the_one_in_the_repository(executed: Any) -> None:
    assert printed(executed[0]).startswith("146 entries of Intel(R) Xeon(R) Processor @ 2.80GHz")
    assert "held-out error 1.3 % over 8 networks" in printed(executed[0])


def test_large_kernels_are_slow_and_slower_in_int8(executed: Any) -> None:
    three, _, seven = re.findall(r"x\d: ([\d.]+) ms in float32, ([\d.]+)", printed(executed[1]))
    assert float(seven[0]) > 3 * float(three[0])
    assert float(seven[1]) > 3 * float(three[1])


def test_plots_are_drawn(executed: Any) -> None:
    drawn = [
        [one.data for one in cell.outputs if one.output_type == "display_data"] for cell in executed
    ]
    assert [len(images) for images in drawn] == [0, 0, 1, 0, 1, 0]
    assert all("image/png" in image for images in drawn for image in images)


def test_the_slowest_choice_has_the_steepest_slope(executed: Any) -> None:
    slopes = {
        name: float(slope)
        for name, slope in re.findall(r"  (\dx\d e\d): ([+-][\d.]+) ms", printed(executed[3]))
    }
    assert len(slopes) == 6
    assert max(slopes, key=lambda name: slopes[name]) == "7x7 e6"
    assert min(slopes.values()) < 0


def test_the_network_found_is_on_target(executed: Any) -> None:
    (numbers,) = re.findall(
        r"predicted ([\d.]+) ms, 95 % from ([\d.]+) to ([\d.]+) ms; aimed at ([\d.]+) ms",
        printed(executed[5]),
    )
    predicted, low, high, aimed = map(float, numbers)
    assert low < predicted < high
    assert predicted == pytest.approx(aimed, rel=0.011)


def test_the_ranking_is_kept_as_a_reader_gets_it(ranked: Any) -> None:
    kept = assert_kept("rank_your_networks", ranked)
    # Nothing in it depends on the machine but the drawing of plots.
    assert [printed(cell) for cell in kept] == [printed(cell) for cell in ranked]


def test_own_networks_are_ranked_within_the_limit(ranked: Any) -> None:
    names = re.findall(r"^(\S.*?)  +[\d.]+  +[\d.]+", printed(ranked[3]), re.MULTILINE)
    assert len(names) == 8
    assert names[-1] == "one 7x7 at the start"
    highs = re.findall(r"^proxylessnas .* (0\.\d{3})$", printed(ranked[6]), re.MULTILINE)
    assert len(highs) == 5
    assert all(float(high) <= 0.3 for high in highs)
