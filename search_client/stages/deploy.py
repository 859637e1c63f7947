"""From an architecture to verified `.tflite` files: train, finetune as int8, export, compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from netspec.networks import Network
from netspec.operators import PRECISIONS, Precision
from search_client.data.batches import central_crop
from search_client.data.folders import ImageSet, stored_size
from search_client.deployment.export import export
from search_client.deployment.parity import Parity
from search_client.deployment.trained_network import NOWHERE, Source, TrainedNetwork
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.stages.quantize import QuantizeOptions, quantize_network
from search_client.stages.train import train_network

#: images resized at a time
_CHUNK = 500


@dataclass(frozen=True)
class Deployed:
    """A trained network with its two files, each compared with torch."""

    network: Network
    #: top-1 on the test set of the float network in torch, 0 to 1
    accuracy_float: float
    files: dict[Precision, bytes]
    #: under XNNPACK, as it is deployed; the other kernel sets were compared, too
    parity: dict[Precision, Parity]
    trained: TrainedNetwork


def deploy(
    network: Network,
    training: ImageSet,
    test: ImageSet,
    settings: Recipe,
    stages: Stages,
    source: Source = NOWHERE,
) -> Deployed:
    """Trains a network from scratch, finetunes it as int8 and encodes both.

    Args:
        network: what to train.
        training: all training images.
        test: images for accuracy and parity.
        settings: how.
        stages: shows the progress.
        source: for the files' metadata.

    Raises:
        ParityFailed: a file does not compute what torch computes.
    """
    training, test = (_at_size(part, network.input_size) for part in (training, test))
    model, accuracy = train_network(network, training, test, settings, stages)
    options = QuantizeOptions(
        settings.finetune,
        batch_size=settings.batch_size,
        seed=settings.seed,
        augment=settings.train.augment,
    )
    trained = TrainedNetwork(training.classes, source, model)
    trained = quantize_network(trained, training, options, stages)
    files: dict[Precision, bytes] = {}
    parity: dict[Precision, Parity] = {}
    images = central_crop(test.images, network.input_size)
    with stages.stage("export", f"Export {network.name} and compare with torch"):
        for precision in PRECISIONS:
            with stages.bar(f"{precision} parity") as advance:
                exported = export(trained, precision, images, test.labels, advance)
            files[precision] = exported.content
            parity[precision] = exported.verification.parity["xnnpack"]
    stages.note(
        f"int8 accuracy {parity['int8'].accuracy:.1%}, agrees with fake quantization on "
        f"{parity['int8'].top1_agreement:.2%} of the images"
    )
    return Deployed(network, accuracy, files, parity, trained)


def file_name(role: str, precision: Precision) -> str:
    """Name of a deployed network's file in its run's folder."""
    return f"{role}.{precision}.tflite"


def _at_size(data: ImageSet, size: int) -> ImageSet:
    """Images as they are stored for an input size (px); a run stores them for its greatest."""
    wanted = stored_size(size)
    if data.images.shape[-1] == wanted:
        return data
    resized = [
        functional.interpolate(part.float(), (wanted, wanted), mode="bilinear", antialias=True)
        .round_()
        .clamp_(0, 255)
        .to(torch.uint8)
        for part in torch.split(data.images, _CHUNK)
    ]
    return ImageSet(torch.cat(resized), data.labels, data.classes)
