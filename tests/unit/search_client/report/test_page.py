from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from netspec.console.latency_unit import LatencyUnit
from search_client.report.content import DeviceResult, Ranking, Report
from search_client.report.page import _Figures, _figures, _rendered, render_page, write_report
from search_client.report.wording import percent, result_unit, signed_percent
from tests.unit.search_client.report import synthetic
from tests.unit.search_client.small_spaces import small_space

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Outline(HTMLParser):
    """Collects what the page is made of and checks that its elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def report() -> Report:
    return synthetic.report()


@pytest.fixture(scope="module")
def tiny() -> Report:
    """For what does not hang on the drawings."""
    return synthetic.report(synthetic.TINY)


@pytest.fixture(scope="module")
def figures(tiny: Report) -> _Figures:
    """Those of the tiny report. Drawing takes far longer than all words around the drawings."""
    return _figures(tiny)


@pytest.fixture(scope="module")
def tiny_page(tiny: Report, figures: _Figures) -> str:
    return _rendered(tiny, figures)


@pytest.fixture(scope="module")
def written(tiny: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of the tiny report."""
    folder = tmp_path_factory.mktemp("written") / "runs" / "demo"
    write_report(tiny, folder)
    return folder


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return render_page(report)


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    parsed = Outline()
    parsed.feed(html)
    parsed.close()
    return parsed


def test_every_element_is_closed(outline: Outline) -> None:
    assert outline.open == []


def test_nothing_comes_from_elsewhere(html: str, outline: Outline) -> None:
    assert "://" not in html
    assert "@import" not in html
    assert not {"script", "link", "iframe", "image", "img"} & {tag for tag, _ in outline.tags}


def test_the_page_says_how_well_the_target_repeats(
    html: str, tiny: Report, figures: _Figures
) -> None:
    assert "consecutive jobs differ by 0.51 % (median) and 2.00 % (90th percentile)" in html
    older = tiny.model_copy(update={"repeatability": None})
    assert "consecutive jobs" not in _rendered(older, figures)


def test_ids_are_unique_and_references_find_them(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in outline.tags:
        for name in ("href", "xlink:href"):
            if name in attributes:
                assert (attributes[name] or "").removeprefix("#") in ids
        clip = attributes.get("clip-path") or ""
        if clip:
            assert clip.removeprefix("url(#").removesuffix(")") in ids


def test_figures_and_tables_speak(outline: Outline) -> None:
    figures = outline.all("svg")
    # 2 scatters, 2 drawings, 2 bars, 2 curves, 7 blocks, 2 heatmaps
    assert len(figures) == 17
    assert all(each["role"] == "img" and each["aria-label"] for each in figures)
    assert len(outline.all("figure")) == len(outline.all("figcaption"))
    assert all(each.get("scope") for each in outline.all("th"))


def test_the_result_table_holds_every_number(report: Report, outline: Outline) -> None:
    cells = {" ".join(text.split()) for text in outline.text}
    unit = result_unit(report)
    for result in (report.searched, report.baseline):
        assert percent(100 * result.accuracy_float) in cells
        assert percent(100 * result.accuracy_int8) in cells
        assert f"{100 * result.int8_top1_agreement:.2f} %" in cells
        for model in result.models:
            assert unit.text(model.predicted_ms) in cells
            assert unit.text(model.measured_ms) in cells
            assert unit.interval(model.measured_low_ms, model.measured_high_ms) in cells
            assert signed_percent(model.prediction_error_percent) in cells
            assert model.sha256 in cells


def test_accuracy_on_the_device_is_told_where_it_is_known(report: Report) -> None:
    assert "Accuracy on the device" not in render_page(report)
    found = DeviceResult(images=400, accuracy=0.905, agreement=0.9975)
    baseline = report.baseline.model_copy(update={"on_device": found})
    page = render_page(report.model_copy(update={"baseline": baseline}))
    assert "Accuracy on the device in int8: baseline 90.5" in page


def test_the_rest_of_the_run_is_there(report: Report, outline: Outline) -> None:
    text = " ".join(" ".join(outline.text).split())
    identity = report.identity
    assert identity.runtime_sha256 in text
    assert identity.soc in text
    assert "fixed performance" in text
    assert report.snapshot in text
    assert "1.0600" in text
    assert "1.4 %" in text
    assert "-0.2 %" in text
    assert "2.6 %" in text
    assert "80 entries, 17 of them fresh" in text
    assert "2 min 31 s" in text
    assert "6 min 56 s" in text
    assert "2.13.0" in text


def test_every_entry_is_listed_with_its_interval(report: Report, outline: Outline) -> None:
    cells = {" ".join(text.split()) for text in outline.text}
    unit = LatencyUnit.of((entry.value_ms for entry in report.table), digits=2)
    for entry in report.table:
        assert f"{unit.text(entry.value_ms)} {unit.interval(entry.low_ms, entry.high_ms)}" in cells


def test_names_are_escaped() -> None:
    name = "<script>alert(1)</script> $x_1$ & 'more'"
    html = render_page(synthetic.report(synthetic.TINY, name=name, baseline="<b>base</b>"))
    assert "<script" not in html
    assert "<b>base" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $x_1$ &amp; &#39;more&#39;" in html


def test_the_same_report_makes_the_same_page(tiny: Report, tiny_page: str) -> None:
    assert render_page(tiny) == tiny_page


def test_a_run_without_calibration_and_points_still_reads(tiny: Report) -> None:
    search = tiny.search.model_copy(update={"points": ()})
    bare = tiny.model_copy(update={"search": search, "calibrations": ()})
    html = render_page(bare)
    assert "The search left no points to draw." in html
    assert "calibration-caption" not in html


def test_calibration_without_held_out_error_says_why(tiny: Report, figures: _Figures) -> None:
    calibrations = tuple(each.model_copy(update={"held_out": None}) for each in tiny.calibrations)
    html = _rendered(tiny.model_copy(update={"calibrations": calibrations}), figures)
    assert html.count("too few networks to leave one out") == 2


def test_both_files_are_written_and_the_data_round_trips(
    tiny: Report, tiny_page: str, written: Path, html: str
) -> None:
    assert Report.model_validate_json((written / "report.json").read_bytes()) == tiny
    assert (written / "report.html").read_text(encoding="utf-8") == tiny_page
    assert tiny_page.startswith("<!doctype html>")
    assert len(html.encode()) < 1_500_000


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_is_a_drawing_a_picture_and_its_numbers_beside_the_page(
    tiny: Report, written: Path
) -> None:
    figures = written / "figures"
    stems = {path.stem for path in figures.iterdir()}
    page = (written / "report.html").read_text(encoding="utf-8")
    assert {"prediction-int8", "expected-latency", "probabilities", "table-float32"} <= stems
    for stem in stems:
        assert f"<code>{stem}</code>" in page
        root = ET.parse(figures / f"{stem}.svg").getroot()  # noqa: S314 (ours)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "currentColor" not in (figures / f"{stem}.svg").read_text(encoding="utf-8")
        with Image.open(figures / f"{stem}.png") as image:
            assert image.width > 100
        with (figures / f"{stem}.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert rows
        assert {len(row) for row in rows} == {len(header)}
    points = _rows(figures / "expected-latency.csv")
    assert float(points[-1]["expected_ms"]) == tiny.search.points[-1].expected_ms
    held_out = _rows(figures / "prediction-int8.csv")
    calibration = tiny.calibrations[1]
    assert [float(row["predicted_ms"]) for row in held_out if row["deployed"] == "0"] == [
        network.held_out_ms for network in calibration.networks
    ]


def test_it_says_what_it_takes_to_make_the_run_again(outline: Outline) -> None:
    text = " ".join(" ".join(outline.text).split())
    for said in (
        "search-client search --data images --run runs/one",
        "Seed 12",
        "78" * 32,
        '"precision": "int8"',
        "12,000",
    ):
        assert said in text


def test_a_report_of_before_reads_without_what_it_lacks(tiny: Report, figures: _Figures) -> None:
    content = tiny.model_dump(mode="json", exclude={"provenance", "ranking"})
    for result in (content["searched"], content["baseline"]):
        del result["images_float"], result["images_int8"]
    del content["search"]["derivation"]
    html = _rendered(Report.model_validate(content), figures)
    assert "To make the run again" not in html
    assert "None" not in html
    assert "accuracy on the test images" in html


def test_a_network_that_the_calibration_has_seen_none_like_is_named(
    tiny: Report, tiny_page: str, figures: _Figures
) -> None:
    first, *others = tiny.baseline.models
    unlike = first.model_copy(update={"unlike": ("its sum is made of other operators",)})
    baseline = tiny.baseline.model_copy(update={"models": (unlike, *others)})
    html = _rendered(tiny.model_copy(update={"baseline": baseline}), figures)
    assert "is unlike the networks that the table is calibrated on" in html
    assert "is unlike the networks" not in tiny_page


def test_what_a_ranking_of_the_supernet_came_to_is_told(
    tiny: Report, tiny_page: str, figures: _Figures
) -> None:
    ranked = tiny.model_copy(update={"ranking": Ranking(networks=12, tau=0.61)})
    html = _rendered(ranked, figures)
    assert "12 random networks on target, each trained alone, is 0.61" in html
    assert "tau" not in tiny_page


def test_a_width_that_was_never_the_likeliest_has_no_probabilities_to_draw(tiny: Report) -> None:
    def left(count: int) -> Report:
        kept = [
            point if index < count else point.model_copy(update={"probabilities": ()})
            for index, point in enumerate(tiny.search.points)
        ]
        search = tiny.search.model_copy(update={"points": tuple(kept)})
        return tiny.model_copy(update={"search": search})

    caption = "Probability of each choice"
    assert caption in render_page(left(2))
    assert caption not in render_page(left(0))


def test_the_files_of_every_network_are_listed(tiny: Report, figures: _Figures) -> None:
    models = tuple(
        model.model_copy(update={"file": f"third.{model.precision}.tflite"})
        for model in tiny.baseline.models
    )
    third = tiny.baseline.model_copy(update={"models": models})
    page = _rendered(tiny.model_copy(update={"further": (third,)}), figures)
    assert "third.int8.tflite" in page


def test_the_legend_names_what_any_block_chooses_among_once() -> None:
    space = small_space("mobilenetv3-ofa", classes=10)
    page = render_page(synthetic.report(space))
    legend = page.partition('<ul class="choices">')[2].partition("</ul>")[0]
    names = [name.strip() for name in re.findall(r"</span>([^<]+)<", legend)]
    wanted = {one.label for block in space.blocks for one in block.candidates} | {"Zero"}
    assert len(names) == len(set(names))
    assert set(names) == wanted
