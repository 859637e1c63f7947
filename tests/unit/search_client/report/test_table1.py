from netspec.networks import mobilenet_v2
from search_client.report.page import render_page
from search_client.report.table1 import Table1Row, table1_rows
from tests.unit.search_client.report.synthetic import report, result


def test_every_network_has_its_setting_and_both_accuracies() -> None:
    base = report(baseline="mobilenet_v2 96-0.5")
    further = tuple(
        result(mobilenet_v2(size, width, 10), "baseline", 0.9) for size, width in ((64, 0.75),)
    )
    made = base.model_copy(update={"further": further})
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
        predicted_ms=rows[0].predicted_ms,
        measured_ms=rows[0].measured_ms,
    )
    assert float(rows[0].predicted_ms) > 0
    page = render_page(made)
    assert all(row.accuracy in page and row.setting in page for row in rows)
