"""`search-client`: search runs that point at a profiler."""

from __future__ import annotations

import typer

from netspec.console import command
from netspec.console.help import wrap_help
from search_client.commands import devices, jobs, webhooks
from search_client.commands.comparison.compare import compare
from search_client.commands.comparison.compare_runs import compare_runs
from search_client.commands.comparison.rank import rank
from search_client.commands.demo import demo
from search_client.commands.derive import derive
from search_client.commands.model_files.energy import energy
from search_client.commands.model_files.latency import latency
from search_client.commands.model_files.sustained import sustained
from search_client.commands.predict import predict
from search_client.commands.quantization.evaluate import evaluate
from search_client.commands.quantization.export import export
from search_client.commands.quantization.import_weights import import_weights
from search_client.commands.quantization.quantize import quantize
from search_client.commands.quantization.report import quantization_report
from search_client.commands.quantization.sensitivity import sensitivity
from search_client.commands.quantization.verify import verify
from search_client.commands.search import search
from search_client.commands.tables.profile import profile
from search_client.commands.tables.snapshot import snapshot
from search_client.commands.tables.transfer import transfer
from search_client.commands.targets import repeatability, targets
from search_client.commands.train import train
from search_client.commands.validate import validate

app = typer.Typer(
    help="Search, train, quantize and deploy networks against measured latency.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="""Examples:
      search-client demo
      search-client latency model.tflite
      search-client search --data photos/ --recipe demo --profile-missing""",
)


@app.callback()
def _common(version: command.Version = False) -> None:
    pass


_FIRST, _PROFILER, _SPACE = "Try it", "Ask the profiler", "Measure a space"
_RUN, _COMPARE = "From a search to the phone", "Compare"

app.command(
    rich_help_panel=_FIRST, epilog="Example: search-client demo --data photos/ --run runs/photos"
)(demo)

app.command(
    rich_help_panel=_PROFILER, epilog="Example: search-client latency model.tflite --target 6ca8"
)(latency)
app.command(
    rich_help_panel=_PROFILER,
    epilog="Example: search-client sustained model.tflite --target 6ca8 --minutes 15",
)(sustained)
app.command(
    rich_help_panel=_PROFILER,
    epilog="Example: search-client energy model.tflite --target 6ca8",
)(energy)
app.command(
    rich_help_panel=_PROFILER,
    epilog="Example: search-client predict --config net.config --target 6ca8 --input-size 160",
)(predict)
app.command(
    rich_help_panel=_PROFILER,
    epilog="Example: search-client targets --profiler-url http://lab:8600",
)(targets)
app.command(rich_help_panel=_PROFILER, epilog="Example: search-client repeatability --target 6ca8")(
    repeatability
)

app.command(
    rich_help_panel=_SPACE, epilog="Example: search-client profile --recipe demo --classes 10"
)(profile)
app.command(
    rich_help_panel=_SPACE,
    epilog="Example: search-client transfer 0123456789abcdef fedcba9876543210 --budget 30",
)(transfer)
app.command(
    rich_help_panel=_SPACE, epilog="Example: search-client validate --networks 20 --plot errors.svg"
)(validate)
app.command(
    rich_help_panel=_SPACE,
    epilog="Example: search-client snapshot --target 6ca8 --output pixel.json",
)(snapshot)
app.command(
    "quantization-report",
    rich_help_panel=_SPACE,
    epilog="Example: search-client quantization-report --recipe demo --classes 10 --json",
)(quantization_report)

app.command(
    rich_help_panel=_RUN,
    epilog="Example: search-client search --data photos/ --recipe demo --profile-missing",
)(search)
app.command(
    rich_help_panel=_RUN,
    epilog="Example: search-client derive --run runs/search --latency-ref 25ms",
)(derive)
app.command(
    rich_help_panel=_RUN, epilog="Example: search-client train --run runs/search --data photos/"
)(train)
app.command(
    "import-weights",
    rich_help_panel=_RUN,
    epilog="Example: search-client import-weights model.safetensors --network mobilenet_v2 "
    "--run runs/timm --data photos/",
)(import_weights)
app.command(
    rich_help_panel=_RUN,
    epilog="Example: search-client quantize --run runs/search --ptq --as quick",
)(quantize)
app.command(
    rich_help_panel=_RUN,
    epilog="Example: search-client sensitivity --run runs/search --latency-bound 0.1ms",
)(sensitivity)
app.command(
    rich_help_panel=_RUN, epilog="Example: search-client export --run runs/search --form uint8"
)(export)
app.command(
    rich_help_panel=_RUN,
    epilog="Example: search-client verify runs/search/searched.int8.tflite --run runs/search",
)(verify)
app.command(
    rich_help_panel=_RUN,
    epilog="Example: search-client evaluate runs/search/searched.int8.tflite --data photos/",
)(evaluate)

app.command(
    rich_help_panel=_COMPARE,
    epilog="Example: search-client compare --run runs/search --data photos/ --train",
)(compare)
app.command(
    rich_help_panel=_COMPARE,
    epilog="Example: search-client rank --run runs/search --data photos/ --networks 12",
)(rank)
app.command(
    "compare-runs",
    rich_help_panel=_COMPARE,
    epilog="Example: search-client compare-runs runs/a runs/b",
)(compare_runs)

app.add_typer(devices.app, name="devices", rich_help_panel=_PROFILER)
app.add_typer(jobs.app, name="jobs", rich_help_panel=_PROFILER)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=_PROFILER)


wrap_help(app)


def main() -> None:
    """The console script."""
    command.run(app)
