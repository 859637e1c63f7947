"""What the quantization commands share: images of a run, finetuning or calibration, writing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from netspec.errors import UserError
from search_client.data.augmentation import USUAL, Augment
from search_client.data.batches import PlainBatches, TrainingBatches, central_crop
from search_client.data.folders import P, Pictures
from search_client.deployment.trained_network import Artifact, Source
from search_client.networks.classes import with_background, with_classes
from search_client.networks.layers import FloatNetwork
from search_client.progress import Stages
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.mixed_precision import with_float_blocks
from search_client.quantization.post_training import quantize_post_training
from search_client.recipe import CHECKPOINT_MINUTES
from search_client.stages.train import training_stage
from search_client.training import distributed
from search_client.training.checkpoints import Checkpoints, load
from search_client.training.distributed import device


@dataclass(frozen=True)
class QuantizeOptions:
    """How a trained network becomes int8."""

    #: None: post-training, without finetuning
    finetuning: QatConfig | None
    #: indices of the operators kept in float32
    float_blocks: Collection[int] = ()
    batch_size: int = 256
    seed: int = 0
    #: of the images that it is finetuned on
    augment: Augment = USUAL
    #: time between two checkpoints, minutes
    checkpoint_minutes: float = CHECKPOINT_MINUTES


def as_artifact(model: FloatNetwork, classes: Sequence[str], source: Source) -> Artifact:
    """A float network with the labels of the data that it was trained on.

    Raises:
        UserError: the data has another number of classes.
    """
    if model.network.classes != len(classes):
        raise UserError(
            f"{model.network.name} tells {model.network.classes} classes apart, but the data has "
            f"{len(classes)}; give the data that it was trained on"
        )
    return Artifact(tuple(classes), source, model)


def background_added(artifact: Artifact, seed: int) -> Artifact:
    """The same float network with a background class in front."""
    model, classes = with_background(artifact.model, artifact.classes, seed)
    return replace(artifact, model=model, classes=classes, quantized=None)


def classes_changed(artifact: Artifact, classes: Sequence[str], seed: int) -> Artifact:
    """The same float network for other classes; those it does not know start untrained."""
    model = with_classes(artifact.model, artifact.classes, classes, seed)
    return replace(artifact, model=model, classes=tuple(classes), quantized=None)


def labelled_for(artifact: Artifact, images: P) -> P:
    """Images with the labels' indices among the network's classes.

    Raises:
        UserError: the network does not know a class of the images.
    """
    unknown = sorted(set(images.classes) - set(artifact.classes))
    if unknown:
        raise UserError(
            f"{artifact.network.name} has no class {', '.join(unknown[:5])}; give the data that "
            "it was trained on, or take over the data's classes with --classes-of-data"
        )
    rows = torch.tensor([artifact.classes.index(name) for name in images.classes])
    return images.relabelled(rows[images.labels], artifact.classes)


def quantize_artifact(
    artifact: Artifact,
    training: Pictures,
    options: QuantizeOptions,
    stages: Stages,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Artifact:
    """The network with int8 weights and ranges, finetuned or post-training.

    Args:
        artifact: with float weights; they move to the device where networks are trained.
        training: images, labelled for it.
        options: how.
        stages: shows the progress.
        checkpoint: file for the state of a finetuning; to be removed once its result is written.
        resume: go on from the checkpoint.

    Raises:
        Stopped: the process was asked to end; the state is saved.
        NotFinite: the network's numbers, or those of its finetuning, are no numbers.
    """
    artifact.model.to(device())
    size, seed = artifact.network.input_size, options.seed
    network = artifact.network.with_precision("int8")
    if options.float_blocks:
        network = with_float_blocks(network, options.float_blocks)
    if options.finetuning is None:
        with stages.stage("quantize", f"Observe the ranges of {artifact.network.name}"):
            plain = PlainBatches(
                training, size, options.batch_size, shuffle_seed=seed, device=device()
            )
            quantized = quantize_post_training(artifact.model, plain, network)
        return replace(artifact, quantized=quantized)
    batches = TrainingBatches(
        training,
        size,
        distributed.share(options.batch_size),
        seed,
        options.augment,
        device=device(),
        shard=distributed.shard(),
    )
    state = load(checkpoint) if resume and checkpoint is not None else None
    heading = f"Finetune {artifact.network.name} as int8"
    with training_stage(stages, "quantize", heading, "finetuning") as show:
        quantized, _ = finetune_int8(
            artifact.model,
            batches,
            options.finetuning,
            show,
            network,
            checkpoints=Checkpoints(checkpoint, options.checkpoint_minutes),
            resume=state,
        )
    return replace(artifact, quantized=quantized)


def comparison_images(images: Pictures, size: int, most: int) -> tuple[Tensor, Tensor]:
    """At most so many images, evenly spread over a set, and their labels.

    Returns:
        uint8 [N, 3, size, size] and int64 [N].
    """
    count = min(most, len(images))
    chosen = torch.linspace(0, len(images) - 1, count).round().long()
    (pixels,) = images.read([chosen])
    return central_crop(pixels, size), images.labels[chosen]
