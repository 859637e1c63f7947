"""What a search tells while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from search_client.latency.objective import Goal
from search_client.search.history import Phase, SearchEpoch, SearchStep
from search_client.supernet.variants import Family
from search_client.training.step import Mean

#: least time between two reports of progress: each waits for the device
REPORT_S = 0.1


@torch.no_grad()
def expected_ms(family: Family, goal: Goal) -> tuple[float, ...]:
    """E[LAT] now, by target."""
    return tuple(goal.expected_ms(family, 0).tolist())


@torch.no_grad()
def expected_mj(family: Family, goal: Goal) -> float | None:
    """E[energy] now; None: it is not in the loss."""
    mean = goal.expected_mj(family, 0)
    return None if mean is None else mean.item()


class Reports:
    """Calls a listener ten times a second at most."""

    def __init__(self, family: Family, goal: Goal, on_step: Callable[[SearchStep], None]) -> None:
        """Args as in `search`."""
        self.family = family
        self.goal = goal
        self.on_step = on_step
        self._reported = time.monotonic()
        #: images since then
        self._images = 0

    def count(self, images: int) -> None:
        """So many images more went through weight steps."""
        self._images += images

    def step(
        self,
        phase: Phase,
        done: int,
        total: int,
        weight_steps: int,
        mean: Mean,
        *,
        gradient_snr: float | None,
        now: bool,
    ) -> None:
        """A weight step was made.

        Args:
            phase: the step's.
            done: steps of the phase.
            total: steps of the phase in all.
            weight_steps: steps of both phases.
            mean: of the epoch so far.
            gradient_snr: of alpha, over all architecture steps so far.
            now: tell it at once.
        """
        since = time.monotonic() - self._reported
        if not now and since < REPORT_S:
            return
        latency_ms = expected_ms(self.family, self.goal)
        worst = self.goal.worst(torch.tensor(latency_ms))
        self.on_step(
            SearchStep(
                phase=phase,
                done=done,
                total=total,
                weight_steps=weight_steps,
                loss=mean.loss,
                accuracy=mean.accuracy,
                expected_ms=latency_ms[worst],
                reference_ms=self.goal.aims[worst].reference_ms,
                expected_mj=expected_mj(self.family, self.goal),
                entropy=self.family.entropy().item(),
                images_per_s=self._images / max(since, 1e-6),
                gradient_snr=gradient_snr,
            )
        )
        self._reported, self._images = time.monotonic(), 0


def epoch_of(
    family: Family,
    goal: Goal,
    phase: Phase,
    weight_steps: int,
    mean: Mean,
    gradient_snr: float | None,
) -> SearchEpoch:
    """What an epoch of weight steps came to.

    Args:
        family: after it.
        goal: of the search.
        phase: the epoch's.
        weight_steps: made so far, in both phases.
        mean: over the epoch.
        gradient_snr: of alpha, over all architecture steps so far.
    """
    likeliest = int(family.beta.argmax())
    p = family.supernet(likeliest).probabilities()
    blocks = family.variants[likeliest].space.blocks
    latency_ms = expected_ms(family, goal)
    return SearchEpoch(
        phase=phase,
        weight_steps=weight_steps,
        loss=mean.loss,
        accuracy=mean.accuracy,
        expected_ms=latency_ms[goal.worst(torch.tensor(latency_ms))],
        entropy=family.entropy().item(),
        probabilities=[row[: block.choices] for row, block in zip(p.tolist(), blocks, strict=True)],
        variants=family.variant_probabilities().tolist(),
        gradient_snr=gradient_snr,
    )
