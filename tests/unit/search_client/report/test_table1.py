import io

import pytest
from rich.console import Console

from netspec.networks import mobilenet_v2
from search_client.report.content import Report
from search_client.report.page import render_page
from search_client.report.table1 import Table1Row, table1_rows
from search_client.report.terminal import print_report
from search_client.report.wording import latency, result_rows
from tests.unit.search_client.report.synthetic import TINY, report, result


@pytest.fixture(scope="module")
def made() -> Report:
    """A report with a further network."""
    base = report(TINY, baseline="mobilenet_v2 96-0.5")
    further = tuple(
        result(mobilenet_v2(size, width, 10), "baseline", 0.9) for size, width in ((64, 0.75),)
    )
    return base.model_copy(update={"further": further})


@pytest.fixture(scope="module")
def page(made: Report) -> str:
    return render_page(made)


def test_further_networks_stand_in_the_result_with_all_numbers(made: Report, page: str) -> None:
    rows = result_rows(made)
    assert [row.role for row in rows] == [
        *("searched", "searched", "baseline", "baseline", "64-0.75", "64-0.75")
    ]
    console = Console(file=io.StringIO(), width=80)
    print_report(made, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for row, model in zip(rows[4:], made.further[0].models, strict=True):
        assert f"{row.role} {row.precision}" in shown
        assert row.predicted in shown
        assert row.measured in page
        assert row.interval in page
        assert f"{row.role} predicted {latency(model.predicted_ms)}" in page


def test_every_network_has_its_setting_and_both_accuracies(made: Report, page: str) -> None:
    rows = table1_rows(made)
    space = made.search.space
    assert [(row.model, row.setting) for row in rows] == [
        ("searched", f"{space.input_size}-{space.width:g}"),
        ("MobileNetV2", "96-0.5"),
        ("MobileNetV2", "64-0.75"),
    ]
    assert rows[0] == Table1Row(
        model="searched",
        setting=rows[0].setting,
        accuracy="94.1 % (94.5 %)",
        predicted=rows[0].predicted,
        measured=rows[0].measured,
    )
    assert float(rows[0].predicted) > 0
    assert all(row.accuracy in page and row.setting in page for row in rows)
