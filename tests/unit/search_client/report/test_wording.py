from __future__ import annotations

import pytest

from netspec.operators import Classifier, HeadConv, MBConv, StemConv
from search_client.report import wording
from tests.unit.search_client.report import synthetic


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [
        (0.0, "0"),
        (0.0123, "0.0123"),
        (0.061, "0.0610"),
        (0.6123, "0.612"),
        (1.2345, "1.234"),
        (12.345, "12.35"),
        (1234.56, "1234.6"),
    ],
)
def test_milliseconds_keep_three_significant_digits(value_ms: float, text: str) -> None:
    assert wording.milliseconds(value_ms) == text


def test_an_error_that_rounds_to_zero_has_no_sign() -> None:
    assert wording.signed_percent(-0.04) == "0.0 %"
    assert wording.signed_percent(-1.62) == "-1.6 %"
    assert wording.signed_percent(1.2) == "+1.2 %"


@pytest.mark.parametrize(
    ("value_ms", "text"), [(0.6123, "612.3 us"), (1.2345, "1.234 ms"), (123.456, "123.5 ms")]
)
def test_latencies_in_sentences_carry_their_unit(value_ms: float, text: str) -> None:
    assert wording.latency(value_ms) == text


def test_operators_are_named_as_in_the_papers() -> None:
    block = MBConv(input_size=28, in_channels=40, out_channels=80, kernel=5, expand=6, stride=2)
    stem = StemConv(input_size=64, in_channels=3, out_channels=16, stride=2)
    head = HeadConv(input_size=7, in_channels=320, out_channels=1280)
    classifier = Classifier(input_size=7, in_channels=1280, out_channels=10)
    names = [each.label for each in (stem, block, head, classifier)]
    assert names == ["Conv 3x3", "MB6 5x5", "Conv 1x1", "Pool FC"]
    assert wording.shape_label(block) == "28 px, 40→80, /2"
    assert wording.shape_label(head) == "7 px, 320→1280"


def test_the_headline_compares_both_networks_as_int8() -> None:
    report = synthetic.report()
    headline = wording.headline(report)
    searched = report.searched.measured_ms["int8"]
    baseline = report.baseline.measured_ms["int8"]
    assert f"takes {wording.latency(searched)} as int8 on Synthetic phone, predicted" in headline
    assert f"mobilenet takes {wording.latency(baseline)}" in headline
    assert "(-1.6 %), and is right on 94.1 % of the test images" in headline
    assert f"needs {100 * (1 - searched / baseline):.1f} % less time" in headline
    assert "1.4 points more accuracy" in headline


def test_a_slower_searched_network_is_told_so() -> None:
    report = synthetic.report()
    swapped = report.model_copy(update={"searched": report.baseline, "baseline": report.searched})
    assert "% more time and has 1.4 points less accuracy" in wording.headline(swapped)
    same = report.model_copy(update={"baseline": report.searched})
    assert "needs the same time and has the same accuracy" in wording.headline(same)


def test_expected_latency_stands_only_where_it_was_in_the_loss() -> None:
    rows = wording.result_rows(synthetic.report())
    assert [(row.role, row.precision, bool(row.expected_ms)) for row in rows] == [
        ("searched", "float32", False),
        ("searched", "int8", True),
        ("baseline", "float32", False),
        ("baseline", "int8", False),
    ]
    assert [row.difference for row in rows] == ["3.1e-06", "1 step", "3.1e-06", "2 steps"]
    assert [row.agreement for row in rows] == ["", "99.75 %", "", "99.62 %"]
