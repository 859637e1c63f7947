from __future__ import annotations

import pytest

from netspec.console.latency_unit import LatencyUnit
from netspec.operators import Classifier, HeadConv, MBConv, StemConv
from search_client.report import sentences, wording
from tests.unit.search_client.report import synthetic


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


def test_accuracies_have_wilsons_interval_where_their_images_are_counted() -> None:
    # p = 0.9, n = 100: centre (0.9 + z^2 / 200) / (1 + z^2 / 100)
    assert wording.accuracy_interval(0.9, 100) == "[82.6, 94.5]"
    assert wording.accuracy_interval(1.0, 100) == "[96.3, 100.0]"
    assert wording.accuracy_interval(0.9, None) == ""


def test_the_headline_compares_both_networks_as_int8() -> None:
    report = synthetic.report()
    headline = sentences.headline(report)
    searched = report.searched.measured_ms["int8"]
    baseline = report.baseline.measured_ms["int8"]
    assert f"takes {wording.latency(searched)} as int8 on Synthetic phone, predicted" in headline
    assert f"mobilenet takes {wording.latency(baseline)}" in headline
    assert "(-1.6 %), and is right on 94.1 % of 2,000 test images [93.0, 95.1]" in headline
    assert f"needs {100 * (1 - searched / baseline):.1f} % less time" in headline
    assert "1.4 points more accuracy (95 % interval of the difference -0.1 to +2.9" in headline


def test_a_slower_searched_network_is_told_so() -> None:
    report = synthetic.report()
    swapped = report.model_copy(update={"searched": report.baseline, "baseline": report.searched})
    assert "% more time and has 1.4 points less accuracy" in sentences.headline(swapped)
    same = report.model_copy(update={"baseline": report.searched})
    assert "needs the same time and has the same accuracy" in sentences.headline(same)


def test_expected_latency_stands_only_where_it_was_in_the_loss() -> None:
    rows = wording.result_rows(synthetic.report())
    assert [(row.role, row.precision, bool(row.expected)) for row in rows] == [
        ("searched", "float32", False),
        ("searched", "int8", True),
        ("baseline", "float32", False),
        ("baseline", "int8", False),
    ]
    assert [row.difference for row in rows] == ["3.1e-06", "1 step", "3.1e-06", "2 steps"]
    assert [row.agreement for row in rows] == ["", "99.75 %", "", "99.62 %"]


def _aimed(expected_ms: float, **derivation: object) -> str:
    report = synthetic.report()
    assert report.search.derivation is not None
    derived = report.search.derivation.model_copy(update=derivation)
    return sentences.aim(
        report.model_copy(
            update={
                "searched": report.searched.model_copy(update={"expected_ms": expected_ms}),
                "search": report.search.model_copy(update={"derivation": derived}),
            }
        )
    )


def test_a_missed_target_is_told_with_the_choice_that_followed() -> None:
    missed = _aimed(0.63)
    assert "E[LAT] ended at 630.0 us, 5.0 % above the reference of 600.0 us and outside" in missed
    assert "the gradient alone did not meet its target" in missed
    assert "chosen after the search: the likeliest of those predicted within 1 %" in missed
    assert "probability of 0.041 and is predicted to take 604.0 us" in missed
    assert "whatever its latency would take 655.0 us" in missed


def test_a_target_that_was_met_is_not_called_missed() -> None:
    met = _aimed(0.603)
    assert "within 1 % of the reference of 600.0 us. The network was chosen after" in met
    assert "did not meet" not in met


def test_the_likeliest_choice_of_every_block_is_told_as_such() -> None:
    assert "likeliest choice of every block (argmax)" in _aimed(0.603, rule="argmax")


def test_latencies_of_a_table_share_unit_and_decimals() -> None:
    small = LatencyUnit.of([0.08788, 0.1181])
    assert (small.name, small.text(0.08788), small.text(0.1181)) == ("us", "87.88", "118.10")
    mixed = LatencyUnit.of([0.5, 42.0])
    assert (mixed.name, mixed.text(0.5), mixed.interval(41.9, 42.0)) == (
        "ms",
        "0.5000",
        "[41.9000, 42.0000]",
    )
    among = LatencyUnit.of([0.0566, 1.5], digits=3)
    assert (among.name, among.text(0.0566), among.text(1.5)) == ("us", "56.6", "1500.0")
    assert LatencyUnit.of([0.0]).text(0.0) == "0"
