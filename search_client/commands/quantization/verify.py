"""`search-client verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from netspec.console.command import AsJson, print_json
from search_client.commands.options import console
from search_client.commands.quantization.options import (
    DataOf,
    MemoryGb,
    ModelFile,
    RunOf,
    Workers,
    data_folder,
    given,
    require_file,
)

if TYPE_CHECKING:
    from search_client.deployment.delegates import Delegated
    from search_client.deployment.parity import Verification


def verify(
    model: ModelFile,
    run: RunOf,
    data: DataOf = None,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="Test images to compare on, spread over all.", show_default="all"),
    ] = None,
    workers: Workers = None,
    memory_gb: MemoryGb = None,
    as_json: AsJson = False,
) -> None:
    """Compare a .tflite file with the network in torch that it was exported from.

    All test images are run under reference kernels, builtin kernels and XNNPACK. Ends with
    exit code 2, naming the first layer that strays, if the file does not compute what torch
    computes. Which operators XNNPACK leaves to the runtime is told.
    """
    from search_client.data.batches import CentralCrops  # noqa: PLC0415
    from search_client.deployment.delegates import delegated  # noqa: PLC0415
    from search_client.deployment.export import verified  # noqa: PLC0415
    from search_client.deployment.origin import find_origin  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.data import read_test_images  # noqa: PLC0415

    require_file(model)
    content = model.read_bytes()
    trained, form = find_origin(content, run)
    stages = Stages()
    size = trained.network.input_size
    test = read_test_images(
        data_folder(data, trained), size, stages, **given(workers=workers, memory_gb=memory_gb)
    )
    compared = CentralCrops(trained.relabelled(test), size, images)
    with (
        stages.stage("verify", f"Compare {model} with torch"),
        stages.bar("images") as advance,
    ):
        found = verified(content, trained, form, compared, advance)
    _show(found, delegated(content), as_json=as_json)


def _show(verification: Verification, runs: Delegated, *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(verification), "delegated": asdict(runs)})
        return
    table = Table("kernels", "top-1", "agreement", "with ties", "max difference", "output steps")
    for kernels, parity in verification.parity.items():
        table.add_row(
            kernels,
            f"{parity.accuracy:.2%}",
            f"{parity.top1_agreement:.2%}",
            f"{parity.tied_agreement:.2%}",
            f"{parity.max_difference:.2g}",
            "" if parity.max_steps is None else str(parity.max_steps),
        )
    console.print(table)
    console.print(f"The file computes what torch computes, on {verification.images} images.")
    console.print(runs.text, markup=False)
