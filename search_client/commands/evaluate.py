"""`search-client evaluate`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from search_client.commands.options import console
from search_client.commands.quantization_options import AsJson, ModelFile


def evaluate(
    model: ModelFile,
    data: Annotated[
        Path, typer.Option(help="FOLDER/test/CLASS/*, FOLDER/val/CLASS/* or FOLDER/CLASS/*.")
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the accuracy of a .tflite file itself, by LiteRT, on all cores."""
    from search_client.evaluate import evaluate_file  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415

    stages = Stages(console, quiet=as_json)
    with stages.stage("evaluate", f"Run {model}"), stages.bar("images") as advance:
        found = evaluate_file(model, data, workers, advance)
    if as_json:
        console.print(json.dumps(asdict(found)), markup=False, soft_wrap=True)
        return
    console.print(f"top-1 {found.top1:.2%}, top-5 {found.top5:.2%} of {found.images} images")
