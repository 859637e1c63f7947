"""The main job, as small as it gets, in three real processes."""

from __future__ import annotations

import hashlib
import json
import math
import socket
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from netspec.operators import PRECISIONS, MBConv
from search_client.recipe import Recipe, read_recipe
from search_client.report.content import NetworkResult, Report
from tests.acceptance.commands import run_installed, write_data, write_recipe
from tests.docs.desk import empty_desk, smaller
from tests.docs.pages import all_blocks
from tests.waiting import wait_for

STAGES = [
    "start",
    "data",
    "profile",
    "search",
    "train",
    "quantize",
    "export",
    "measure",
    "device accuracy",
]


@dataclass(frozen=True)
class Ran:
    """A demo that has ended, with what it left."""

    ended: subprocess.CompletedProcess[str]
    folder: Path
    settings: Recipe
    report: Report
    #: accepted visits of each operator's content hash that the server has
    visits: dict[str, int]


def demo(folder: Path, *options: str) -> Ran:
    """Runs a demo in a folder that has data and a recipe."""
    recipe, run_folder = folder / "tiny.toml", folder / "run"
    given: list[str | Path] = [
        "--data",
        folder / "data",
        "--recipe",
        recipe,
        "--run",
        run_folder,
        *options,
    ]
    # It needs no folder but its own: a home may be read-only, or none.
    ended = run_installed("search-client", "demo", *given, *options, HOME=str(recipe / "home"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    report = Report.model_validate_json((run_folder / "report.json").read_bytes())
    settings = read_recipe(str(recipe)).for_classes(10)
    with closing(sqlite3.connect(run_folder / "profiler" / "profiler.db")) as database:
        counted = database.execute(
            "SELECT subject_hash, count(*) FROM visits JOIN subjects ON hash = subject_hash "
            "WHERE kind = 'operator' AND rejected = '' GROUP BY subject_hash"
        )
        visits = dict(counted.fetchall())
    return Ran(ended, run_folder, settings, report, visits)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demo")
    write_data(made / "data")
    write_recipe(made / "tiny.toml")
    return made


@pytest.fixture(scope="module")
def first(folder: Path) -> Ran:
    return demo(folder, "--set", "device_images=20")


@pytest.fixture(scope="module")
def second(folder: Path, first: Ran) -> Ran:
    assert first.report
    return demo(folder, "--set", "train.start=supernet", "--set", "train.inherit.epochs_share=0.5")


def test_every_operator_is_measured_and_in_the_table(first: Ran) -> None:
    operators = first.settings.operators()
    assert first.visits == {operator.content_hash: 3 for operator in operators}
    assert first.report.entries == len(operators)
    assert first.report.entries_reused == 0
    wanted = set()
    for precision in PRECISIONS:
        space = first.settings.space.with_precision(precision)
        wanted |= {operator.key for operator in space.operators()}
    assert {entry.name for entry in first.report.table} == wanted
    for entry in first.report.table:
        assert 0 < entry.low_ms <= entry.value_ms <= entry.high_ms
        assert entry.visits == 3
    assert [calibration.precision for calibration in first.report.calibrations] == [*PRECISIONS]
    for calibration in first.report.calibrations:
        # two of the space, and the baseline
        assert len(calibration.networks) == 3
        assert 0.3 < calibration.scale < 3


@pytest.mark.parametrize("role", ["searched", "baseline"])
def test_the_files_are_those_that_were_measured(first: Ran, role: str) -> None:
    result: NetworkResult = getattr(first.report, role)
    assert [model.precision for model in result.models] == [*PRECISIONS]
    for model in result.models:
        content = (first.folder / model.file).read_bytes()
        assert content[4:8] == b"TFL3"
        assert hashlib.sha256(content).hexdigest() == model.sha256
        assert 0 < model.measured_low_ms <= model.measured_ms <= model.measured_high_ms
        error = 100 * (model.predicted_ms / model.measured_ms - 1)
        assert model.prediction_error_percent == pytest.approx(error)
        assert result.measured_ms[model.precision] == model.measured_ms
        (calibration,) = (
            one for one in first.report.calibrations if one.precision == model.precision
        )
        assert model.predicted_ms == pytest.approx(calibration.scale * sum(model.operator_ms))
        with closing(sqlite3.connect(first.folder / "profiler" / "profiler.db")) as database:
            (visits,) = database.execute(
                "SELECT count(*) FROM visits WHERE subject_hash = ? AND rejected = ''",
                [model.sha256],
            ).fetchone()
        assert visits == 4
    assert 0 <= result.accuracy_float <= 1
    assert 0 <= result.accuracy_int8 <= 1
    assert result.int8_tied_agreement >= 0.995
    assert result.on_device is not None
    # The device is this machine.
    assert (result.on_device.images, result.on_device.agreement) == (20, 1)
    assert "Accuracy on the device in int8: searched" in " ".join(first.ended.stdout.split())


def test_the_search_aims_at_the_baselines_latency(first: Ran) -> None:
    report = first.report
    assert report.latency_ref_ms == pytest.approx(report.baseline.predicted_ms["int8"])
    assert report.baseline.expected_ms is None
    assert report.searched.expected_ms is not None
    expected = [point.expected_ms for point in report.search.points]
    assert [point.phase for point in report.search.points] == ["warm-up", "joint", "joint"]
    assert all(0 < value < math.inf for value in [*expected, report.searched.expected_ms])
    assert expected[-1] == pytest.approx(report.searched.expected_ms)
    space = first.settings.space
    assert report.search.space == space
    found = space.network(report.search.choices)
    assert report.searched.network.with_precision("float32").operators == found.operators
    assert report.prediction_error_percent == pytest.approx(
        max(
            abs(model.prediction_error_percent)
            for result in (report.searched, report.baseline)
            for model in result.models
        )
    )


def test_every_stage_is_timed(first: Ran) -> None:
    assert list(first.report.seconds) == STAGES
    assert all(0 <= seconds < 300 for seconds in first.report.seconds.values())
    assert first.report.seconds["profile"] > 0


def test_the_json_has_what_was_promised(first: Ran) -> None:
    report = json.loads((first.folder / "report.json").read_text(encoding="utf-8"))
    for role in ("searched", "baseline"):
        for name in ("predicted_ms", "measured_ms"):
            assert set(report[role][name]) == {"float32", "int8"}
        assert report[role]["network"]["operators"]
    text = json.dumps(report)
    assert "NaN" not in text
    assert "Infinity" not in text


class _Page(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("a", "use"):
            names = ("src", "href")
            self.fetched += [value for name, value in attrs if name in names and value]


def test_the_page_stands_alone(first: Ran) -> None:
    page = _Page()
    page.feed((first.folder / "report.html").read_text(encoding="utf-8"))
    assert {"table", "svg"} <= page.tags
    assert [where for where in page.fetched if not where.startswith(("data:", "#"))] == []


def test_the_terminal_shows_the_table_and_where_the_report_is(first: Ran) -> None:
    shown = " ".join(first.ended.stdout.split())
    for row in ("searched float32", "searched int8", "baseline float32", "baseline int8"):
        assert row in shown
    assert shown.replace(" ", "").endswith(f"Report:{first.folder / 'report.html'}")


def test_the_readmes_lines_for_after_the_demo_work(first: Ran) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = first.folder / "profiler.env"
    assert variables.stat().st_mode & 0o77 == 0
    text = variables.read_text(encoding="utf-8")
    variables.write_text(text.replace(":8600", f":{port}"), encoding="utf-8")
    block = next(
        one
        for one in first.settings.space.with_precision("int8").blocks[1].candidates
        if isinstance(one, MBConv) and one.residual
    )
    pairs = [
        (r"\.venv/bin/", ""),
        (r"runs/demo", str(first.folder)),
        (r"profiler-server serve", f"profiler-server serve --port {port}"),
        (r"kernel=\d&expand=\d", f"kernel={block.kernel}&expand={block.expand}"),
        (r"in=\d+&out=\d+", f"in={block.in_channels}&out={block.out_channels}"),
        (r"size=\d+", f"size={block.input_size}"),
        (r"key=[^\"]+", f"key={block.key}"),
    ]
    serve, ask = (
        replace(one, text=smaller(one.text, pairs))
        for one in all_blocks()
        if one.page == "README.md" and "the demo's own test" in one.reason
    )
    with empty_desk(first.folder.parent) as desk:
        desk.variables.clear()
        log = desk.start(serve)
        wait_for(lambda: f":{port}/dashboard" in log.read_text(encoding="utf-8"))
        answered = desk.run(ask)
        desk.stop()
    assert answered.count(block.key) == 2
    rows = (desk.folder / "table.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + len(first.visits)


def test_a_second_demo_reuses_every_entry_and_says_so(first: Ran, second: Ran) -> None:
    operators = len(first.settings.operators())
    assert f"{operators} of {operators} operators have fresh entries and are reused" in (
        " ".join(second.ended.stderr.split())
    )
    assert second.visits == first.visits
    assert second.report.entries == first.report.entries
    assert second.report.entries_reused >= operators
    assert second.report.target == first.report.target
    assert second.report.created_at > first.report.created_at
    assert second.report.table == first.report.table


def test_a_demos_network_may_start_from_the_supernets_weights(first: Ran, second: Ran) -> None:
    assert (first.report.searched.start, first.report.searched.epochs) == ("scratch", 2)
    assert (second.report.searched.start, second.report.searched.epochs) == ("supernet", 1)
    assert (second.report.baseline.start, second.report.baseline.epochs) == ("scratch", 2)
    said = " ".join(second.ended.stderr.split())
    assert "of the test images; 1 of 2 epochs follow" in said
    page = (second.folder / "report.html").read_text(encoding="utf-8")
    assert "started from the supernet's weights" in page
