"""What the gradient is compared with: scores of a trained supernet, and REINFORCE on them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from search_client.data.batches import generator_of
from search_client.data.folders import LabelledImages
from search_client.latency.objective import Goal
from search_client.recipe import Recipe
from search_client.runs.load import LoadedRun
from search_client.search.architecture_step import ArchitectureSteps
from search_client.search.config import SearchConfig
from search_client.search.reachable import nearest_to_target
from search_client.search.scoring import Scored, Scorer, first_images
from search_client.stages.search import batches_of
from search_client.supernet.supernet import ALPHA_STD
from search_client.supernet.variants import Family
from search_client.training.distributed import device
from search_client.training.step import device_of


def scorer_of(run: LoadedRun, settings: Recipe, training: LabelledImages, images: int) -> Scorer:
    """Scores by a run's supernet, on so many of the run's own held-out images."""
    family = run.family.to(device())
    weights, held_out = batches_of(settings, training, family.input_size)
    return Scorer(
        family,
        first_images(held_out.epoch(0), images),
        first_images(weights.epoch(0), settings.search.recalibration_images),
        config=settings.search,
    )


def reinforce(
    family: Family,
    goal: Goal,
    scorer: Scorer,
    *,
    config: SearchConfig,
    images: int,
    seed: int,
    on_images: Callable[[int], None],
) -> Scored:
    """A fresh alpha, moved by REINFORCE with the weights as they are; `family` stays as it is.

    Args:
        family: trained.
        goal: of the search.
        scorer: its batches are what the steps see, over and over.
        config: of the search: its loss, alpha's learning rate, what is on target.
        images: that the steps may look at.
        seed: of alpha and of the paths.
        on_images: called with the number of images looked at.
    """
    held = [parameter.detach().clone() for parameter in family.architecture()]
    generator = generator_of(seed, 1)
    try:
        with torch.no_grad():
            for parameter in family.architecture():
                fresh = torch.randn(parameter.shape, generator=generator) * ALPHA_STD
                parameter.copy_(fresh)
        steps = ArchitectureSteps(
            family,
            goal,
            config.latency_loss,
            "reinforce",
            config.architecture_learning_rate,
            config,
        )
        place, seen, number = device_of(family), 0, 0
        while seen < images:
            some, labels = scorer.batches[number % len(scorer.batches)]
            steps.step([(some.to(place), labels.to(place))], generator, entropy_weight=0.0)
            seen, number = seen + len(labels), number + 1
            on_images(min(seen, images))
        found = nearest_to_target(family, goal, config.tolerance)
    finally:
        with torch.no_grad():
            for parameter, value in zip(family.architecture(), held, strict=True):
                parameter.copy_(value)
    return scorer.scored(found)
