"""What a search went through, for progress bars and reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["warm-up", "joint"]


@dataclass(frozen=True)
class SearchStep:
    """How far the search is."""

    phase: Phase
    #: weight steps done in this phase
    done: int
    #: weight steps in this phase
    total: int
    #: done in both phases
    weight_steps: int
    #: training loss of the epoch so far
    loss: float
    #: training accuracy (fraction) of the epoch so far, over sampled paths
    accuracy: float
    #: E[LAT] now, on the target whose E / R is greatest
    expected_ms: float
    #: R of that target
    reference_ms: float
    #: mean entropy of the blocks' choices, and of the variants', in nats
    entropy: float
    #: images of weight steps a second, of all processes, since the last report
    images_per_s: float
    #: of one architecture step's gradient of alpha, over all so far; None before the second step
    gradient_snr: float | None = None
    #: E[energy] now; None: it is not in the loss
    expected_mj: float | None = None


@dataclass(frozen=True)
class ArchitectureStep:
    """What one architecture step saw on its held-out batches."""

    #: done before it, in both phases
    weight_steps: int
    #: with latency, and entropy where it has a weight
    loss: float
    cross_entropy: float
    #: fraction, of the sampled path
    accuracy: float
    #: E[LAT] before the step, on the target whose E / R is greatest
    expected_ms: float


@dataclass(frozen=True)
class SearchEpoch:
    """What one epoch of weight steps came to, and the architecture after it."""

    phase: Phase
    #: done so far, in both phases
    weight_steps: int
    #: training loss and accuracy (fraction) over sampled paths
    loss: float
    accuracy: float
    #: on the target whose E / R is greatest
    expected_ms: float
    #: mean entropy of the blocks' choices, and of the variants', in nats
    entropy: float
    #: of the likeliest variant, by block, then by choice
    probabilities: list[list[float]]
    #: probability of each variant
    variants: list[float] = field(default_factory=lambda: [1.0])
    #: of one architecture step's gradient of alpha, over all so far; None before the second step
    gradient_snr: float | None = None


@dataclass
class History:
    """All that a search went through."""

    epochs: list[SearchEpoch] = field(default_factory=list)
    architecture_steps: list[ArchitectureStep] = field(default_factory=list)
    #: weight steps after which numbers were not finite, so that the search went back
    went_back: list[int] = field(default_factory=list)

    @property
    def gradient_snr(self) -> float | None:
        """Return that of one architecture step, over all; None where there were too few."""
        return self.epochs[-1].gradient_snr if self.epochs else None
