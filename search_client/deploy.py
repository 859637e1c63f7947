"""From an architecture to verified `.tflite` files: train, finetune as int8, export, compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from netspec.layers import Float32Array, Parameters
from netspec.networks import Network
from netspec.operators import Precision
from netspec.tflite import encode
from search_client.batches import PlainBatches, TrainingBatches, central_crop, normalise
from search_client.images import ImageSet
from search_client.litert import TFLiteClassifier
from search_client.modules import FloatNetwork, folded_parameters
from search_client.progress import Stages
from search_client.qat import finetune_int8
from search_client.settings import Settings
from search_client.steps import evaluate
from search_client.train import TrainStep, train
from search_client.verify import Parity, compare, require

EVALUATION_BATCH = 250


@dataclass(frozen=True)
class Deployed:
    """A trained network with its two files, each compared with torch."""

    network: Network
    #: top-1 on the test set of the float network in torch, 0 to 1
    accuracy_float: float
    files: dict[Precision, bytes]
    parity: dict[Precision, Parity]


def deploy(
    network: Network, training: ImageSet, test: ImageSet, settings: Settings, stages: Stages
) -> Deployed:
    """Trains a network from scratch, finetunes it as int8 and encodes both.

    Args:
        network: what to train.
        training: all training images.
        test: images for accuracy and parity.
        settings: how.
        stages: shows the progress.

    Raises:
        ParityFailed: a file does not compute what torch computes.
    """
    size = network.input_size
    batches = TrainingBatches(training, size, settings.batch_size, settings.seed)
    torch.manual_seed(settings.seed)
    model = FloatNetwork(network)
    with stages.stage("train", f"Train {network.name}"), stages.bar("training") as advance:
        train(model, batches, settings.train, lambda step: advance(*_shown(step)))
        accuracy = evaluate(model, PlainBatches(test, size, EVALUATION_BATCH))
    stages.note(f"float accuracy {accuracy:.1%}")

    with (
        stages.stage("quantize", f"Finetune {network.name} as int8"),
        stages.bar("finetuning") as advance,
    ):
        quantized, _ = finetune_int8(
            model, batches, settings.finetune, lambda step: advance(*_shown(step))
        )

    parameters: dict[Precision, Parameters] = {
        "float32": Parameters(weights=folded_parameters(model), ranges={}),
        "int8": quantized.parameters_for_export(),
    }
    models: dict[Precision, nn.Module] = {"float32": model, "int8": quantized}
    files: dict[Precision, bytes] = {}
    parity: dict[Precision, Parity] = {}
    with stages.stage("export", f"Export {network.name} and compare with torch"):
        for precision, held in parameters.items():
            files[precision] = encode(network.with_precision(precision).operators, held)
            parity[precision] = _parity(
                files[precision], models[precision], test, network, precision, stages
            )
    stages.note(
        f"int8 accuracy {parity['int8'].accuracy:.1%}, "
        f"agrees with fake quantization on {parity['int8'].top1_agreement:.2%} of the images"
    )
    return Deployed(network, accuracy, files, parity)


def _shown(step: TrainStep) -> tuple[int, int, str]:
    return step.done, step.total, f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}"


@torch.no_grad()
def _logits(model: nn.Module, test: ImageSet, size: int) -> Float32Array:
    model.eval()
    batches = PlainBatches(test, size, EVALUATION_BATCH)
    return np.concatenate([model(images).numpy() for images, _ in batches])


def _parity(
    file: bytes,
    model: nn.Module,
    test: ImageSet,
    network: Network,
    precision: Precision,
    stages: Stages,
) -> Parity:
    of_torch = _logits(model, test, network.input_size)
    crops = normalise(central_crop(test.images, network.input_size))
    images = crops.permute(0, 2, 3, 1).contiguous().numpy()
    classifier = TFLiteClassifier(file)
    with stages.bar(f"{precision} parity") as advance:
        of_file = classifier.logits(images, lambda done: advance(done, len(images)))
    parity = compare(of_file, of_torch, test.labels.numpy(), classifier.output_scale)
    require(parity, precision, of_torch, network.name)
    return parity
