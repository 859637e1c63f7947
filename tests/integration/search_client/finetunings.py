"""`quantize` by a short finetuning, whole or stopped on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from search_client.deployment.trained_network import load_trained_network
from search_client.training.checkpoints import Checkpoints, State, Stopped
from tests.integration.search_client.exported import command

FINETUNING = ("--epochs", "2", "--norm-epochs", "1", "--frozen-epochs", "1", "--batch-size", "20")


def quantized_by(folder: Path, *options: str | Path) -> dict[str, torch.Tensor]:
    """The int8 weights and ranges after `quantize` of a run's network `net`."""
    command("quantize", "--run", folder, "--network", "net", *options)
    quantized = load_trained_network(folder, "net").quantized
    assert quantized is not None
    return quantized.state_dict()


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """The training in the block saves itself and stops before a step, counted from 0."""
    steps = iter(range(step + 1))

    def interrupt(self: Checkpoints, state: Callable[[], State]) -> None:
        if next(steps) == step:
            self.save(state())
            raise Stopped("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "step", interrupt)
        try:
            yield
        except Stopped:
            return
    pytest.fail(f"the training ended before step {step}")
