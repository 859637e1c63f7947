from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.benchmark_model.output import parse_output
from device_agent.errors import FlagIgnored, NoPercentiles, UnparsableOutput

GOLDEN = Path(__file__).parent / "golden"
PERCENTILES = (GOLDEN / "tflite-percentiles.txt").read_text()


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "era", "warmups", "runs", "low", "mean", "init"),
    [
        ("tflite-percentiles", "percentiles", 84, 285, 340, 349.912, 4241),
        ("tflite-one-warmup-run", "percentiles", 1, 50, 1_502_355, 1_699_440, 102_320),
        ("tflite-logcat", "percentiles", 3, 25, 140_071, 145_528, 92_318),
        ("tflite-no-percentiles", "no_percentiles", 70, 2, 6_449, 6_479.5, 16_599),
        ("tflite-no-prefix", "no_percentiles", 1, 50, 2_727_568, 2_950_340, 17_187),
        ("tflite-oldest", "oldest", 1, 50, 128_850, 129_816, 3_913),
        ("tflite-all-same", "percentiles", 2, 5, 1_234, 1_234, 812),
        ("litert", "percentiles", 80, 269, 361, 370.844, None),
    ],
)
def test_every_era_is_read(
    name: str, era: str, warmups: int, runs: int, low: float, mean: float, init: float | None
) -> None:
    output = parse_output(golden(name))
    assert output.era == era
    assert (output.warmup.count, output.measured.count) == (warmups, runs)
    assert (output.measured.min_us, output.measured.mean_us) == (low, mean)
    assert output.init_us == init


def test_the_measured_phase_becomes_the_statistics_not_the_warm_up() -> None:
    statistics = parse_output(PERCENTILES).statistics()
    assert (statistics.p5_us, statistics.median_us, statistics.p95_us) == (342, 348, 362)
    assert (statistics.count, statistics.min_us, statistics.std_us) == (285, 340, 8)


def test_identical_runs_are_their_own_percentiles() -> None:
    statistics = parse_output(golden("tflite-all-same")).statistics()
    assert statistics.count == 5
    assert {statistics.min_us, statistics.p5_us, statistics.p95_us} == {1234}
    assert statistics.std_us == 0


@pytest.mark.parametrize("name", ["tflite-no-percentiles", "tflite-no-prefix", "tflite-oldest"])
def test_no_percentile_is_made_up(name: str) -> None:
    with pytest.raises(NoPercentiles, match="runner fetch"):
        parse_output(golden(name)).statistics()


def test_an_ignored_flag_is_a_failure() -> None:
    text = "WARN: Unconsumed cmdline flags: --use_nnapi=true\n" + PERCENTILES
    with pytest.raises(FlagIgnored, match="--use_nnapi=true"):
        parse_output(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CANNOT LINK EXECUTABLE: library not found",
        PERCENTILES.replace("count=285", "runs=285"),
        PERCENTILES.replace("count=285", "count=0"),
        PERCENTILES.partition("INFO: count=285")[0],
        PERCENTILES.replace("min=340 ", ""),
        PERCENTILES.replace("avg=349.912", "avg=nan"),
        PERCENTILES.replace("avg=349.912", "avg=9349.912"),
        PERCENTILES.replace("p5=342", "p5=399"),
        PERCENTILES.replace("p95=362", "p95=362 p99=370"),
        PERCENTILES.replace("Inference (avg): 349.912", "Inference (avg): 358.274"),
        PERCENTILES.partition("INFO: Inference timings")[0],
        PERCENTILES + PERCENTILES,
    ],
)
def test_anything_else_is_unparsable_and_keeps_its_text(text: str) -> None:
    with pytest.raises(UnparsableOutput) as caught:
        parse_output(text)
    assert caught.value.raw == text


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PERCENTILES)), st.text(max_size=8))
def test_a_cut_or_garbled_output_never_gives_another_number(at: int, garbage: str) -> None:
    whole = parse_output(PERCENTILES).measured
    try:
        found = parse_output(PERCENTILES[:at] + garbage).measured
    except UnparsableOutput:
        return
    assert found == whole
