"""TensorBoard, from event files in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from netspec.console.extras import needs_extra
from search_client.progress.observer import ObservedRun, Observer


@contextmanager
def tensorboard_curves(run: ObservedRun) -> Iterator[Observer]:
    """Write curves and settings to `FOLDER/tensorboard`; those of a resumed run go on.

    Raises:
        UserError: TensorBoard is not installed.
    """
    with needs_extra("tensorboard", "--log tensorboard"):
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional package

    with SummaryWriter(str(run.folder / "tensorboard")) as writer:
        # Markdown: four spaces make a block of code.
        text = "".join(f"    {line}\n" for line in json.dumps(run.settings, indent=2).splitlines())
        writer.add_text(f"{run.command}/settings", text)

        def write(part: str, step: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(f"{part}/{name}", value, step)

        yield write
