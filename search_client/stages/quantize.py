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
from search_client.data.folders import ImageSet, read_folder, stored_size
from search_client.deployment.trained_network import Artifact, Source
from search_client.networks.classes import with_background, with_classes
from search_client.networks.layers import FloatNetwork
from search_client.progress import Stages
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.mixed_precision import with_float_blocks
from search_client.quantization.post_training import quantize_post_training
from search_client.training.loop import TrainStep
from search_client.training.step import device_of


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


def read_images(data: Path, size: int, stages: Stages) -> tuple[ImageSet, ImageSet]:
    """The training and test images of a folder, stored for an input size (px)."""
    with stages.stage("data", f"Read images from {data}"), stages.bar("images") as advance:
        return read_folder(data, stored_size(size), advance)


def background_added(artifact: Artifact, seed: int) -> Artifact:
    """The same float network with a background class in front."""
    model, classes = with_background(artifact.model, artifact.classes, seed)
    return replace(artifact, model=model, classes=classes, quantized=None)


def classes_changed(artifact: Artifact, classes: Sequence[str], seed: int) -> Artifact:
    """The same float network for other classes; those it does not know start untrained."""
    model = with_classes(artifact.model, artifact.classes, classes, seed)
    return replace(artifact, model=model, classes=tuple(classes), quantized=None)


def labelled_for(artifact: Artifact, images: ImageSet) -> ImageSet:
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
    return ImageSet(images.images, rows[images.labels], artifact.classes)


def quantize_artifact(
    artifact: Artifact, training: ImageSet, options: QuantizeOptions, stages: Stages
) -> Artifact:
    """The network with int8 weights and ranges, finetuned or post-training.

    Args:
        artifact: with float weights.
        training: images, labelled for it.
        options: how.
        stages: shows the progress.
    """
    size, seed = artifact.network.input_size, options.seed
    network = artifact.network.with_precision("int8")
    if options.float_blocks:
        network = with_float_blocks(network, options.float_blocks)
    if options.finetuning is None:
        with stages.stage("quantize", f"Observe the ranges of {artifact.network.name}"):
            plain = PlainBatches(training, size, options.batch_size, shuffle_seed=seed)
            quantized = quantize_post_training(artifact.model, plain, network)
        return replace(artifact, quantized=quantized)
    batches = TrainingBatches(
        training,
        size,
        options.batch_size,
        seed,
        options.augment,
        device=device_of(artifact.model),
    )
    heading = f"Finetune {artifact.network.name} as int8"
    with stages.stage("quantize", heading), stages.bar("finetuning") as advance:

        def show(step: TrainStep) -> None:
            advance(step.done, step.total, f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}")

        quantized, _ = finetune_int8(artifact.model, batches, options.finetuning, show, network)
    return replace(artifact, quantized=quantized)


def comparison_images(images: ImageSet, size: int, most: int) -> tuple[Tensor, Tensor]:
    """At most so many images, evenly spread over a set, and their labels.

    Returns:
        uint8 [N, 3, size, size] and int64 [N].
    """
    count = min(most, len(images))
    chosen = torch.linspace(0, len(images) - 1, count).round().long()
    return central_crop(images.images[chosen], size), images.labels[chosen]
