"""From an architecture to verified `.tflite` files: train, finetune as int8, export, compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from netspec.networks import Network
from netspec.operators import PRECISIONS, Precision
from search_client.artifacts import Artifact, Source
from search_client.batches import PlainBatches, TrainingBatches, central_crop
from search_client.export import export
from search_client.images import ImageSet
from search_client.modules import FloatNetwork
from search_client.progress import Stages
from search_client.qat import finetune_int8
from search_client.settings import Settings
from search_client.steps import evaluate
from search_client.train import TrainStep, train
from search_client.verify import Parity

EVALUATION_BATCH = 250
#: where nobody says where a network comes from
NOWHERE = Source(run="", snapshot=None)


@dataclass(frozen=True)
class Deployed:
    """A trained network with its two files, each compared with torch."""

    network: Network
    #: top-1 on the test set of the float network in torch, 0 to 1
    accuracy_float: float
    files: dict[Precision, bytes]
    #: the worst over the kernel sets; accuracy under XNNPACK
    parity: dict[Precision, Parity]
    artifact: Artifact


def deploy(
    network: Network,
    training: ImageSet,
    test: ImageSet,
    settings: Settings,
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

    artifact = Artifact(training.classes, source, model, quantized)
    files: dict[Precision, bytes] = {}
    parity: dict[Precision, Parity] = {}
    images = central_crop(test.images, size)
    with stages.stage("export", f"Export {network.name} and compare with torch"):
        for precision in PRECISIONS:
            with stages.bar(f"{precision} parity") as advance:
                exported = export(artifact, precision, images, test.labels, advance)
            files[precision] = exported.content
            parity[precision] = exported.verification.worst
    stages.note(
        f"int8 accuracy {parity['int8'].accuracy:.1%}, agrees with fake quantization on "
        f"{parity['int8'].top1_agreement:.2%} of the images, on every kernel set"
    )
    return Deployed(network, accuracy, files, parity, artifact)


def _shown(step: TrainStep) -> tuple[int, int, str]:
    return step.done, step.total, f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}"
