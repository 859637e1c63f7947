"""Registers the commands of quantization and deployment."""

from __future__ import annotations

import typer

from search_client.commands.evaluate import evaluate
from search_client.commands.export import export
from search_client.commands.quantization_report import quantization_report
from search_client.commands.quantize import quantize
from search_client.commands.verify import verify


def register(app: typer.Typer) -> None:
    """Adds them to `search-client`, each with an example."""
    app.command(epilog="Example: search-client quantize --run runs/search --ptq --as quick")(
        quantize
    )
    app.command(epilog="Example: search-client export --run runs/search --form uint8")(export)
    app.command(
        epilog="Example: search-client verify runs/search/searched.int8.tflite --run runs/search"
    )(verify)
    app.command(
        epilog="Example: search-client evaluate runs/search/searched.int8.tflite --data photos/"
    )(evaluate)
    app.command(
        "quantization-report",
        epilog="Example: search-client quantization-report --recipe demo --classes 10 --json",
    )(quantization_report)
