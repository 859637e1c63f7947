"""A search's curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.errors import UserError
from search_client.search.history import SearchStep
from search_client.training import distributed


@contextmanager
def curves(folder: Path | None) -> Iterator[Callable[[SearchStep], None]]:
    """Writes loss, accuracy, E[LAT] against its reference, entropy and speed.

    Args:
        folder: for the event file; None, and in all processes but the first: nothing is written.

    Raises:
        UserError: TensorBoard is not installed.
    """
    if folder is None or distributed.rank() > 0:
        yield lambda _: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise UserError(
            "--tensorboard needs the package tensorboard; install it, or this project's extra "
            "`tensorboard`"
        ) from error
    writer = SummaryWriter(str(folder))

    def write(step: SearchStep) -> None:
        values = {
            "weights/loss": step.loss,
            "weights/accuracy": step.accuracy,
            "latency/expected_ms": step.expected_ms,
            "latency/over_reference": step.expected_ms / step.reference_ms,
            "architecture/entropy": step.entropy,
            "speed/images_per_s": step.images_per_s,
        }
        if step.gradient_snr is not None:
            values["architecture/gradient_snr"] = step.gradient_snr
        for name, value in values.items():
            writer.add_scalar(name, value, step.weight_steps)

    try:
        yield write
    finally:
        writer.close()
