"""Scores of networks by a supernet's weights, each under BatchNorm statistics of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from search_client.data.batches import Batch
from search_client.search.candidates import Candidate
from search_client.search.derive import Derived
from search_client.supernet.subnetwork import subnetwork
from search_client.supernet.variants import Family
from search_client.training.norm_statistics import recalibrate
from search_client.training.step import StepConfig, device_of, evaluate


@dataclass(frozen=True)
class Scored:
    """One network with the accuracy that the supernet's weights give it."""

    network: Derived
    #: fraction of the held-out images
    accuracy: float
    #: of the accuracy, by the number of images alone; networks scored on the same images differ
    #: with less noise
    standard_error: float


class Scorer:
    """Top-1 of a family's networks on fixed held-out batches: the same images for every network."""

    def __init__(
        self,
        family: Family,
        batches: Sequence[Batch],
        recalibration: Sequence[Batch],
        known: Mapping[Candidate, float] | None = None,
        config: StepConfig | None = None,
    ) -> None:
        """Both kinds of batches are looked at once for each network that is scored.

        Args:
            family: trained.
            batches: held out, at the family's greatest size.
            recalibration: training images, for BatchNorm's statistics.
            known: accuracies that need not be taken again.
            config: networks are scored in its arithmetic; None: float32.
        """
        self.family = family
        self.config = config or StepConfig()
        self.batches = batches
        self.recalibration = recalibration
        self.known = dict(known or {})
        #: networks looked at
        self.evaluations = 0
        self.images = sum(len(labels) for _, labels in batches)

    @torch.no_grad()
    def accuracy(self, candidate: Candidate) -> float:
        """Fraction of images right; a network that is asked for again costs nothing."""
        if candidate not in self.known:
            model = subnetwork(self.family, *candidate)
            with self.config.autocast(device_of(model)):
                recalibrate(model, self._resized(candidate, self.recalibration))
                self.known[candidate] = evaluate(model, self._resized(candidate, self.batches))
            self.evaluations += 1
        return self.known[candidate]

    def standard_error(self, accuracy: float) -> float:
        """Of an accuracy, binomial."""
        return math.sqrt(accuracy * (1 - accuracy) / self.images)

    def scored(self, network: Derived) -> Scored:
        """A network with its score."""
        accuracy = self.accuracy(Candidate(network.variant, tuple(network.choices)))
        return Scored(network, accuracy, self.standard_error(accuracy))

    def _resized(self, candidate: Candidate, batches: Sequence[Batch]) -> Iterable[Batch]:
        device = device_of(self.family)
        for images, labels in batches:
            yield self.family.resized(candidate.variant, images.to(device)), labels


def first_images(batches: Iterable[Batch], images: int) -> list[Batch]:
    """Whole batches until there are so many images."""
    taken: list[Batch] = []
    count = 0
    for batch in batches:
        if count >= images:
            break
        count += len(batch[1])
        taken.append(batch)
    return taken
