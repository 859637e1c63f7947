"""The result on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from netspec.console.units import duration_text
from search_client.report.content import Report
from search_client.report.sentences import aim, headline, on_device, unlike
from search_client.report.wording import latency, percent, result_rows, result_unit


def print_report(report: Report, console: Console) -> None:
    """Prints the closing table, the headline and where the time went; good from 80 columns on."""
    console.print(_table(report))
    # Text, not markup: names are the user's and may hold brackets.
    console.print(Text(headline(report)))
    if accuracy := on_device(report):
        console.print(Text(accuracy))
    for sentence in unlike(report):
        console.print(Text(sentence))
    console.print(Text(_facts(report), style="dim"))


def _table(report: Report) -> Table:
    # 2 columns between numbers, so that the widest still fit 80
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.title = Text(f"Latency on {report.identity.device_model}, {result_unit(report).name}")
    table.add_column("Network", no_wrap=True)
    for name in ("Top-1", "Predicted", "Measured [95 %]", "Error", "Agreed"):
        table.add_column(name, justify="right", no_wrap=True)
    role = ""
    for row in result_rows(report):
        if role and row.role != role:
            table.add_section()
        role = row.role
        table.add_row(
            f"{role} {row.precision}",
            row.accuracy,
            row.predicted,
            # Text: rich would read [0.60] as markup
            Text(f"{row.measured} {row.interval}"),
            row.error,
            row.agreement,
        )
    return table


def _facts(report: Report) -> str:
    stages = ", ".join(f"{stage} {duration_text(value)}" for stage, value in report.seconds.items())
    return (
        f"{aim(report)}\nReference {latency(report.latency_ref_ms)} ({report.search.precision}); "
        f"greatest prediction error {percent(report.prediction_error_percent)}; "
        f"{report.entries} entries, {report.entries_reused} of them reused.\n"
        f"Wall time {duration_text(sum(report.seconds.values()))}: {stages}."
    )
