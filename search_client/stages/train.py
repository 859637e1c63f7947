"""Training a run's network from scratch as a stage: batches, checkpoints, test accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from netspec.errors import UserError
from netspec.networks import Network
from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.data.folders import Pictures
from search_client.networks.layers import FloatNetwork
from search_client.progress import Stages
from search_client.recipe import Settings
from search_client.training import distributed
from search_client.training.checkpoints import Checkpoints, load, save
from search_client.training.distributed import device
from search_client.training.loop import TrainStep, train
from search_client.training.step import evaluate

EVALUATION_BATCH = 250


@contextmanager
def training_stage(
    stages: Stages, name: str, heading: str, label: str
) -> Iterator[Callable[[TrainStep], None]]:
    """Open a stage with a bar, and give what shows a training's steps in it."""
    with stages.stage(name, heading), stages.bar(label) as advance:
        yield lambda step: advance(
            step.done, step.total, f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}"
        )


def train_network(
    network: Network,
    training: Pictures,
    test: Pictures,
    settings: Settings,
    stages: Stages,
    *,
    weights: Path | None = None,
    resume: bool = False,
) -> tuple[FloatNetwork, float]:
    """Trains a network in float32 by a run's recipe.

    Args:
        network: what to train.
        training: all training images.
        test: images for the accuracy.
        settings: how.
        stages: shows the progress.
        weights: file for the trained weights; its checkpoint lies beside it.
        resume: go on from the checkpoint.

    Returns:
        the network in evaluation mode, and its top-1 accuracy (fraction) on the test images.

    Raises:
        Stopped: the process was asked to end; the state is saved.
    """
    size = network.input_size
    batches = TrainingBatches(
        training,
        size,
        distributed.share(settings.batch_size),
        settings.seed,
        settings.train.augment,
        device=device(),
        shard=distributed.shard(),
    )
    torch.manual_seed(settings.seed)
    model = FloatNetwork(network, settings.train.dropout).to(device())
    unfinished = None if weights is None else weights.with_suffix(".unfinished.pt")
    state = load(unfinished) if resume and unfinished is not None else None
    checkpoints = Checkpoints(unfinished, settings.checkpoint_minutes)
    with training_stage(stages, "train", f"Train {network.name}", "training") as show:
        train(model, batches, settings.train, show, checkpoints=checkpoints, resume=state)
        plain = PlainBatches(test, size, EVALUATION_BATCH, device=device())
        accuracy = evaluate(model, plain)
    stages.note(f"float accuracy {accuracy:.1%}")
    if weights is not None and unfinished is not None and distributed.rank() == 0:
        save({"network": network.model_dump_json(), "model": model.state_dict()}, weights)
        unfinished.unlink(missing_ok=True)
    return model, accuracy


def load_network(weights: Path) -> FloatNetwork:
    """A trained network, in evaluation mode on the CPU.

    Raises:
        UserError: the file holds none.
    """
    state = load(weights)
    if not {"network", "model"} <= state.keys():
        raise UserError(
            f"{weights} holds no trained network; expected what `search-client train` wrote"
        )
    model = FloatNetwork(Network.model_validate_json(state["network"]))
    model.load_state_dict(state["model"])
    return model.eval()


def evaluate_weights(weights: Path, images: Pictures) -> float:
    """Top-1 accuracy (fraction) of a trained network on images stored for its size.

    Raises:
        UserError: the file holds no network, or one of another number of classes.
    """
    model = load_network(weights).to(device())
    if model.network.classes != len(images.classes):
        raise UserError(
            f"{weights} tells {model.network.classes} classes apart, but the images have "
            f"{len(images.classes)}; give the data that it was trained on"
        )
    plain = PlainBatches(images, model.network.input_size, EVALUATION_BATCH, device=device())
    return evaluate(model, plain)
