from __future__ import annotations

import io

import pytest
from rich.console import Console

from search_client.report.content import DeviceResult, NetworkResult, Report
from search_client.report.terminal import print_report
from search_client.report.wording import result_rows, result_unit
from tests.unit.search_client.report import synthetic


def printed(report: Report, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def slower(result: NetworkResult, factor: float) -> NetworkResult:
    models = tuple(
        model.model_copy(
            update={
                name: factor * getattr(model, name)
                for name in ("predicted_ms", "measured_ms", "measured_low_ms", "measured_high_ms")
            }
        )
        for model in result.models
    )
    return result.model_copy(update={"models": models})


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("factor", [0.01, 1.0, 9000.0])
def test_no_number_is_cut(width: int, factor: float) -> None:
    report = synthetic.report()
    report = report.model_copy(
        update={
            "searched": slower(report.searched, factor),
            "baseline": slower(report.baseline, factor),
        }
    )
    out = printed(report, width)
    assert "…" not in out
    assert all(len(line) <= width for line in out.splitlines())
    lines, unit = out.splitlines(), result_unit(report)
    for row, model in zip(
        result_rows(report), (*report.searched.models, *report.baseline.models), strict=True
    ):
        (line,) = [line for line in lines if line.strip().startswith(f"{row.role} {row.precision}")]
        assert unit.text(model.predicted_ms) in line.split()
        bounds = unit.interval(model.measured_low_ms, model.measured_high_ms)
        assert f"{unit.text(model.measured_ms)} {bounds}" in line
        assert row.accuracy in line
        assert row.error in line
        assert row.agreement in line


def test_accuracy_on_the_device_is_told_where_it_is_known() -> None:
    report = synthetic.report()
    assert "on the device" not in printed(report, 80)
    found = DeviceResult(images=400, accuracy=0.905, agreement=0.9975)
    searched = report.searched.model_copy(update={"on_device": found})
    told = " ".join(printed(report.model_copy(update={"searched": searched}), 80).split())
    assert "Accuracy on the device in int8: searched 90.5 % of 400 test images [87.2, 93.0]" in told
    assert "the same class as on the machine of this run for 99.75 % of them." in told


def test_names_are_not_read_as_markup() -> None:
    out = printed(synthetic.report(baseline="net [red]v2[/red]"), 120)
    assert "net [red]v2[/red]" in out


def test_it_says_which_networks_the_calibration_has_seen_none_like() -> None:
    report = synthetic.report()
    assert "unlike" not in printed(report, 80)
    first, *others = report.searched.models
    unlike = first.model_copy(update={"unlike": ("its sum is made of other operators",)})
    searched = report.searched.model_copy(update={"models": (unlike, *others)})
    out = " ".join(printed(report.model_copy(update={"searched": searched}), 80).split())
    assert f"{searched.network.name} in {unlike.precision} is unlike the networks that" in out
    assert "these show: its sum is made of other operators." in out


def test_it_says_what_was_reused_and_where_the_time_went() -> None:
    out = " ".join(printed(synthetic.report(), 80).split())
    assert "80 entries, 17 of them reused" in out
    assert "Reference 600.0 us (int8)" in out
    assert "Wall time 6 min 56 s: profile 1 min 33 s" in out
