from __future__ import annotations

import re

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from netspec.spaces import Space, shipped_spaces
from search_client.report.figures.architecture import Scale, searched_architecture
from search_client.report.figures.canvas import (
    FIXED_COLOUR,
    INK,
    PRECISION_COLOURS,
    ZERO_COLOUR,
    Drawing,
    block_colour,
    text_colour_on,
)
from search_client.report.figures.heatmap import table_heatmap
from search_client.report.figures.latency import operator_bars, predicted_against_measured
from search_client.report.figures.search import (
    block_probabilities,
    choice_colours,
    choice_names,
    every_probability,
    expected_latency_curve,
    learning_curves,
)
from tests.unit.search_client.report import synthetic
from tests.unit.search_client.small_spaces import small_space


def texts(drawing: Drawing) -> list[str]:
    return re.findall(r"<(?:text|tspan)[^>]*>([^<]+)</", str(drawing))


def test_expansion_changes_the_shade_and_kernel_the_hue() -> None:
    assert block_colour(3, 6) == "#2f6fb0"
    # halfway to expand 0 the share of white is 0.375
    assert block_colour(3, 3) == "#7da5ce"
    assert len({block_colour(kernel, 6) for kernel in (1, 3, 5, 7, 9, 11)}) == 6
    assert len({block_colour(3, expand) for expand in range(1, 13)}) == 12


def test_text_contrasts_with_its_fill() -> None:
    assert text_colour_on("#ffffff") == "#000000"
    assert text_colour_on("#000000") == "#ffffff"
    assert text_colour_on("#8a4bae") == "#ffffff"


def test_drawing_takes_ink_from_the_page_and_leaves_the_style_alone() -> None:
    before = dict(mpl.rcParams)

    def paint(figure: Figure) -> None:
        figure.text(0.5, 0.5, "a < b", color=INK)

    svg = str(Drawing("one", 'says "<hello>"', (100, 50), paint))
    assert dict(mpl.rcParams) == before
    assert svg.startswith('<svg viewBox="0 0 100 50" role="img"')
    assert 'aria-label="says &#34;&lt;hello&gt;&#34;"' in svg
    assert "currentColor" in svg
    assert "a &lt; b" in svg
    assert INK not in svg
    assert 'id="one-figure_1"' in svg


def test_the_heatmap_tells_us_and_zero() -> None:
    report = synthetic.report()
    shown = texts(table_heatmap(report, "int8"))
    blocks = report.search.space.blocks
    assert "int8, us" in shown
    assert shown.count("0") == sum(block.skippable for block in blocks)
    for block in blocks:
        for operator in block.candidates:
            value_us = 1000 * synthetic.cost_ms(operator.with_precision("int8"))
            assert any(
                abs(float(text) - value_us) <= 0.006 * value_us
                for text in shown
                if re.fullmatch(r"[\d.]+", text)
            )


def test_the_heatmap_says_ms_where_an_entry_takes_one() -> None:
    assert "float32, ms" in texts(table_heatmap(synthetic.report(Space()), "float32"))


def test_a_missing_entry_is_shown_as_missing() -> None:
    report = synthetic.report()
    lost = report.search.space.with_precision("int8").blocks[0].candidates[2].key
    table = tuple(entry for entry in report.table if entry.name != lost)
    shown = texts(table_heatmap(report.model_copy(update={"table": table}), "int8"))
    assert shown.count("n/a") == 1


def test_the_drawing_shows_each_choice_and_skips() -> None:
    report = synthetic.report()
    svg = searched_architecture(
        report.search.space, report.search.choices, Scale.of(report.searched.network)
    )
    shown = texts(svg)
    blocks = report.search.space.blocks
    skipped = [
        choice == len(block.candidates)
        for block, choice in zip(blocks, report.search.choices, strict=True)
    ]
    assert any(skipped)
    assert shown.count("skipped") == sum(skipped)
    for block, choice in zip(blocks, report.search.choices, strict=True):
        assert choice_names(block)[choice].replace("Zero", "skipped") in shown
    assert "64x64x3" in shown
    assert "1x1x10" in shown


def test_hollow_marks_are_calibration_networks_and_filled_ones_are_deployed() -> None:
    report = synthetic.report()
    shown = texts(predicted_against_measured(report, "int8"))
    named = {"held out of the calibration", "searched", "baseline", "95 % of networks"}
    assert named <= set(shown)
    bare = report.model_copy(update={"calibrations": ()})
    assert "held out of the calibration" not in texts(predicted_against_measured(bare, "int8"))


def test_a_calibration_is_never_judged_by_what_it_was_fitted_on() -> None:
    report = synthetic.report()
    fitted = tuple(
        calibration.model_copy(
            update={
                "networks": tuple(
                    network.model_copy(update={"held_out_ms": None})
                    for network in calibration.networks
                )
            }
        )
        for calibration in report.calibrations
    )
    drawn = predicted_against_measured(report.model_copy(update={"calibrations": fitted}), "int8")
    assert [row[0] for row in drawn.rows] == ["searched", "baseline"]


def test_errors_are_of_measured_latency_in_percent() -> None:
    drawn = predicted_against_measured(synthetic.report(), "int8")
    rows = [dict(zip(drawn.columns, row, strict=True)) for row in drawn.rows]
    errors = {row["network"]: row["error_percent"] for row in rows if row["deployed"]}
    assert errors == pytest.approx({"searched": -1.6, "baseline": 1.2})


def test_a_colour_has_one_meaning() -> None:
    kernels = [block_colour(kernel, 6) for kernel in (1, 3, 5, 7, 9, 11)]
    colours = [*kernels, *PRECISION_COLOURS.values(), FIXED_COLOUR, ZERO_COLOUR]
    assert len(set(colours)) == len(colours)
    curves = learning_curves(synthetic.report().search)
    assert not [colour for colour in colours if colour in curves.svg]
    expected = expected_latency_curve(synthetic.report().search, 0.6)
    assert PRECISION_COLOURS["int8"] in expected.svg
    assert PRECISION_COLOURS["float32"] not in expected.svg


def test_bars_name_every_operator() -> None:
    report = synthetic.report()
    shown = texts(operator_bars(report, report.searched, "searched"))
    assert (
        sum(text.startswith("MB") for text in shown) == len(report.searched.network.operators) - 3
    )
    assert {"Conv 3x3", "Conv 1x1", "Pool FC", "float32", "int8"} <= set(shown)


def test_the_reference_stands_beside_the_expected_latency() -> None:
    report = synthetic.report()
    svg = expected_latency_curve(report.search, report.latency_ref_ms)
    assert "reference, 600.0 us" in texts(svg)
    assert "warm-up" in texts(svg)


def test_each_block_has_its_probabilities() -> None:
    search = synthetic.report().search
    figures = block_probabilities(search)
    assert len(figures) == len(search.space.blocks)
    for index, (figure, block) in enumerate(zip(figures, search.space.blocks, strict=True)):
        chosen = choice_names(block)[search.choices[index]]
        final = search.points[-1].probabilities[index][search.choices[index]]
        assert f"{index + 1}: {chosen}, p = {final:.2f}" in texts(figure)


def test_a_search_of_one_point_draws() -> None:
    search = synthetic.report().search
    one = search.model_copy(update={"points": search.points[:1]})
    assert "E[LAT], int8" in texts(expected_latency_curve(one, 0.6))
    assert len(block_probabilities(one)) == len(search.space.blocks)


def test_texts_keep_their_digits_and_coordinates_do_not() -> None:
    def paint(figure: Figure) -> None:
        figure.text(1 / 3, 1 / 3, "0.12345")

    drawing = Drawing("digits", "digits", (100, 50), paint)
    assert texts(drawing) == ["0.12345"]
    assert "33.33" in str(drawing)
    assert "33.333" not in str(drawing)


@pytest.mark.parametrize("name", shipped_spaces())
def test_figures_of_any_space_name_its_candidates(name: str) -> None:
    report = synthetic.report(small_space(name, classes=10))
    space = report.search.space
    shown = texts(table_heatmap(report, "int8"))
    for block in space.blocks:
        for operator in block.candidates:
            assert set(operator.label.split()) <= {word for text in shown for word in text.split()}
    assert len(block_probabilities(report.search)) == len(space.blocks)


def test_candidates_of_one_kernel_and_ratio_have_shades_of_one_colour() -> None:
    block = small_space("mobilenetv4-uib").blocks[1]
    colours = choice_colours(block)
    assert len(set(colours)) == len(colours) == block.choices == 9
    usual = Space().blocks[1]
    assert choice_colours(usual)[:6] == tuple(block_colour(k, e) for k in (3, 5, 7) for e in (3, 6))


def test_columns_are_named_anew_where_candidates_change() -> None:
    plain = texts(table_heatmap(synthetic.report(), "int8"))
    assert sum(text == "Zero" for text in plain) == 1
    mixed = texts(table_heatmap(synthetic.report(small_space("mobilenetv3-ofa", 10)), "int8"))
    assert sum(text == "Zero" for text in mixed) > 1


def test_probabilities_are_columns_of_what_was_recorded_and_gaps_where_nothing_was() -> None:
    search = synthetic.report(synthetic.TINY).search
    points = list(search.points[:6])
    points[2] = points[2].model_copy(update={"probabilities": ()})
    drawn = every_probability(search.model_copy(update={"points": tuple(points)}))
    rows = [dict(zip(drawn.columns, row, strict=True)) for row in drawn.rows]
    known = [point.step for point in points if point.probabilities]
    assert sorted({row["step"] for row in rows}) == known
    for step in known:
        shares = [
            float(row["probability"]) for row in rows if row["step"] == step and row["block"] == 1
        ]
        assert sum(shares) == pytest.approx(1)
    (block, *_) = block_probabilities(search.model_copy(update={"points": tuple(points)}))
    # a choice is two pieces, before and after the gap, each closed
    filled = re.findall(r'<path d="([^"]+)"[^>]*style="fill: #', block.svg)
    assert max(path.count("M") for path in filled) == 2
