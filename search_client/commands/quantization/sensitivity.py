"""`search-client sensitivity`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from netspec.client import LatencyTable
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.units import latency_text
from search_client.commands.options import (
    ProfilerUrl,
    SavedTable,
    TargetOption,
    client_of,
    console,
)
from search_client.commands.quantization.options import (
    DataOf,
    MemoryGb,
    NetworkName,
    RunOf,
    Workers,
    data_folder,
    given,
)


def sensitivity(
    run: RunOf,
    latency_bound: Annotated[
        str, typer.Option(help="The greatest sum of entries, as in 0.2ms.", metavar="MS")
    ],
    network: NetworkName = "searched",
    data: DataOf = None,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    snapshot: SavedTable = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of a batch.")] = 64,
    batches: Annotated[int, typer.Option(min=1, help="Batches that distances are taken on.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the data's order.")] = 0,
    workers: Workers = None,
    memory_gb: MemoryGb = None,
    as_json: AsJson = False,
) -> None:
    """Choose the blocks to keep in float32 by what they cost in int8, within a latency.

    Every block in turn is kept in float32 while the rest is quantized as by `quantize --ptq`; what
    brings the network nearer to its choices in float, in nats an image, is what the block is worth.
    Its price is the table's: its entries in both precisions and the conversions around it. Of all
    mixes within the bound the one that is worth most is quantized and measured, too.
    """
    from search_client.data.batches import PlainBatches  # noqa: PLC0415
    from search_client.deployment.trained_network import load_trained_network  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.quantization.mixed_precision import (  # noqa: PLC0415
        conversions_of,
        most_exact_mix,
    )
    from search_client.quantization.post_training import PtqConfig  # noqa: PLC0415
    from search_client.quantization.sensitivity import SensitivityMeter  # noqa: PLC0415
    from search_client.recipe import parse_ms  # noqa: PLC0415
    from search_client.stages.data import read_images  # noqa: PLC0415

    bound_ms, stages = parse_ms(latency_bound), Stages(quiet=as_json)
    trained = load_trained_network(run, network)
    architecture = trained.network
    with client_of(profiler_url, snapshot) as client:
        table = LatencyTable(client.latest_snapshot(client.target(target).id))
    # Entries that are missing, and a bound that nothing meets, are told before images are read.
    for precision in ("int8", "float32"):
        table.values_ms(architecture.with_precision(precision).operators)
    values_ms = table.snapshot.values_ms
    most_exact_mix(architecture, values_ms, {}, bound_ms)
    training, _ = read_images(
        data_folder(data, trained),
        architecture.input_size,
        stages,
        **given(workers=workers, memory_gb=memory_gb),
    )
    plain = PlainBatches(
        trained.relabelled(training), architecture.input_size, batch_size, shuffle_seed=seed
    )
    with (
        stages.stage("sensitivity", f"Quantize {architecture.name} block by block"),
        stages.bar("blocks") as advance,
    ):
        meter = SensitivityMeter(trained.model, plain, PtqConfig(), batches)
        found = meter.measure(advance)
        chosen = most_exact_mix(architecture, values_ms, found.gains, bound_ms)
        mixed = meter.distance(chosen.blocks) if chosen.blocks else found.int8
    told: dict[str, Any] = {
        "target": table.snapshot.target_id,
        "blocks": [
            {
                "block": block,
                "label": architecture.operators[block].label,
                "gain_nats": gain,
                **{
                    f"{precision}_ms": values_ms[
                        architecture.operators[block].with_precision(precision).key
                    ]
                    for precision in ("int8", "float32")
                },
            }
            for block, gain in found.gains.items()
        ],
        "int8_nats": found.int8,
        "int8_ms": chosen.int8_ms,
        "float_blocks": chosen.blocks,
        "mixed_nats": mixed,
        "mixed_ms": chosen.mixed_ms,
        "missing": sorted({one.key for one in conversions_of(architecture)} - values_ms.keys()),
    }
    if as_json:
        print_json(told)
    else:
        _show(told, chosen.network.name)


def _show(told: dict[str, Any], name: str) -> None:
    table = Table(
        "block",
        Column("operator", overflow="fold"),
        Column("worth, nats", justify="right"),
        Column("int8", justify="right"),
        Column("float32", justify="right"),
        title="Kept in float32, one at a time",
    )
    for row in told["blocks"]:
        times = (latency_text(row["int8_ms"]), latency_text(row["float32_ms"]))
        table.add_row(str(row["block"]), row["label"], f"{row['gain_nats']:.2g}", *times)
    console.print(table)
    console.print(
        f"All in int8: {told['int8_nats']:.2g} nats from float, {latency_text(told['int8_ms'])}"
    )
    if told["missing"]:
        console.print(
            f"{len(told['missing'])} conversions have no entry, so mixes that need them were left "
            "out; measure them with `search-client quantization-report --profile-conversions`"
        )
    if not told["float_blocks"]:
        console.print("Within the bound no block is worth its price: leave all in int8")
        return
    console.print(
        f"{name}: {told['mixed_nats']:.2g} nats from float, {latency_text(told['mixed_ms'])}. "
        f"`search-client quantize --float-blocks {','.join(map(str, told['float_blocks']))}` "
        "makes it",
        markup=False,
    )
