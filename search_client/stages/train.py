"""Training a run's network as a stage: batches, checkpoints, test accuracy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from netspec.errors import UserError
from netspec.networks import Network
from netspec.operators import Precision
from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.data.folders import LabelledImages, stored_size
from search_client.deployment.trained_network import (
    NOWHERE,
    Source,
    TrainedNetwork,
    unfinished_path,
)
from search_client.networks.layers import FloatNetwork
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.runs.load import LoadedRun
from search_client.stages.inherit import inherit
from search_client.training import distributed
from search_client.training.checkpoints import Checkpoints, state_hash
from search_client.training.distributed import device
from search_client.training.loop import TrainStep, train
from search_client.training.step import LossChange, evaluated

EVALUATION_BATCH = 250
_UNUSUAL = re.compile(r"[^\w.-]+", re.ASCII)


@contextmanager
def training_stage(
    stages: Stages, name: str, heading: str, label: str, part: str
) -> Iterator[Callable[[TrainStep], None]]:
    """Open a stage with a bar, and give what shows a training's steps in it.

    Args:
        stages: of the run.
        name: of the stage.
        heading: of the stage.
        label: of the bar.
        part: of the run, for its observers.
    """
    with stages.stage(name, heading), stages.bar(label) as advance:

        def show(step: TrainStep) -> None:
            told = f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}"
            advance(step.done, step.total, told)
            values = {
                "loss": step.loss,
                "accuracy": step.accuracy,
                "learning_rate": step.learning_rate,
            }
            stages.observe(part, step.done, values, now=step.ends_epoch)

        yield show


def curve_of(what: str, network: Network) -> str:
    """Return the part of a run that trains or finetunes a network, in letters that loggers take."""
    return f"{what}/{_UNUSUAL.sub('-', network.name)}"


def train_network(
    network: Network,
    training: LabelledImages,
    test: LabelledImages,
    settings: Recipe,
    stages: Stages,
    *,
    source: Source = NOWHERE,
    weights: Path | None = None,
    resume: bool = False,
    signals: bool = True,
    supernet: LoadedRun | None = None,
) -> tuple[FloatNetwork, float]:
    """Trains a network in float32 by a run's recipe.

    Args:
        network: what to train.
        training: all training images.
        test: images for the accuracy.
        settings: how.
        stages: shows the progress.
        source: where the network comes from, for its file.
        weights: file for the trained network; its checkpoint lies beside it.
        resume: go on from the checkpoint.
        signals: on SIGTERM and SIGINT the training saves itself before it ends.
        supernet: the search whose weights it starts from; None: it starts from scratch.

    Returns:
        the network in evaluation mode, and its top-1 accuracy (fraction) on the test images.

    Raises:
        UserError: the supernet has no such network.
        Stopped: the process was asked to end; the state is saved.
    """
    if settings.task is not None:
        settings.task.check(len(training.classes))
    size = network.input_size
    # A run's images are kept for the greatest of its networks.
    batches = TrainingBatches(
        training.at_size(stored_size(size)),
        size,
        distributed.share(settings.batch_size),
        settings.seed,
        settings.train.augment,
        device=device(),
        shard=distributed.shard(),
    )
    torch.manual_seed(settings.seed)
    config, origin = settings.train, ""
    change: LossChange | None = None
    if supernet is None:
        model = FloatNetwork(network, config.dropout).to(device())
    else:
        start = inherit(supernet, network, batches, settings)
        config, model, change = config.inheriting(), start.model, start.change
        origin = state_hash(model)
    unfinished = None if weights is None else unfinished_path(weights)
    data = "" if unfinished is None else training.fingerprint()
    checkpoints = Checkpoints(unfinished, settings.checkpoint_minutes, data=data, signals=signals)
    state = checkpoints.resumed(stages.note) if resume else None
    test = test.at_size(stored_size(size))
    heading = f"{'Train' if supernet is None else 'Finetune'} {network.name}"
    part = curve_of("train", network)
    with training_stage(stages, "train", heading, "training", part) as show:
        if supernet is not None:
            before = accuracy_of(model, test, size)
            stages.note(
                f"with the supernet's weights it is right on {before:.1%} of the test images; "
                f"{config.epochs} of {settings.train.epochs} epochs follow"
            )
        train(
            model,
            batches,
            config,
            show,
            change=change,
            origin=origin,
            checkpoints=checkpoints,
            resume=state,
            tell=stages.note,
        )
        accuracy = accuracy_of(model, test, size)
    stages.note(f"float accuracy {accuracy:.1%}")
    stages.observe(part, config.epochs * len(batches), {"test_accuracy": accuracy}, now=True)
    if weights is not None and unfinished is not None and distributed.rank() == 0:
        TrainedNetwork(training.classes, source, model).write(weights)
        unfinished.unlink(missing_ok=True)
    return model, accuracy


def evaluate_network(trained: TrainedNetwork, images: LabelledImages) -> dict[Precision, float]:
    """Top-1 accuracy (fraction) in each precision that a network has, on images of its size.

    Raises:
        UserError: the network does not tell the images' classes apart.
    """
    labelled = trained.with_labels(images.classes).relabelled(images)
    models: dict[Precision, nn.Module | None] = {
        "float32": trained.model,
        "int8": trained.quantized,
    }
    return {
        precision: accuracy_of(model.to(device()), labelled, trained.network.input_size)
        for precision, model in models.items()
        if model is not None
    }


def accuracy_of(model: nn.Module, images: LabelledImages, size: int) -> float:
    """Top-1 accuracy (fraction) of a model, left in evaluation mode, on crops of a size (px).

    Of several processes each runs a share of the images, every image once; all are told the same.

    Raises:
        UserError: there are fewer images than processes.
    """
    count, processes = len(images), distributed.world()
    if count < processes:
        raise UserError(f"{count} images are not enough for {processes} processes; give more")
    mine = images.subset(torch.arange(distributed.rank(), count, processes))
    mean = evaluated(model, PlainBatches(mine, size, EVALUATION_BATCH, device=device()))
    correct, total = distributed.sums(mean.correct, mean.images)
    return correct / total
