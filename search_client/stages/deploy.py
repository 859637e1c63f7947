"""From an architecture to verified `.tflite` files: train, finetune as int8, export, compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netspec.networks import Network
from netspec.operators import PRECISIONS, Precision
from search_client.data.batches import CentralCrops
from search_client.data.folders import LabelledImages, stored_size
from search_client.deployment.export import export
from search_client.deployment.parity import Parity
from search_client.deployment.trained_network import (
    NOWHERE,
    Source,
    TrainedNetwork,
    read_trained_network,
    unfinished_path,
)
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.runs.load import LoadedRun
from search_client.stages.quantize import QuantizeOptions, quantize_network
from search_client.stages.train import evaluate_network, train_network
from search_client.training.loop import Start

#: test images that files are compared with torch on, at most
MOST_COMPARED = 10_000


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
    #: epochs of the float network's training
    epochs: int
    test_images: int
    start: Start = "scratch"


def deploy(
    network: Network,
    training: LabelledImages,
    test: LabelledImages,
    settings: Recipe,
    stages: Stages,
    source: Source = NOWHERE,
    *,
    saved: Path,
    resume: bool = False,
    signals: bool = True,
    supernet: LoadedRun | None = None,
) -> Deployed:
    """Train a network, finetune it as int8 and encode both.

    Args:
        network: what to train.
        training: all training images.
        test: images for accuracy and parity.
        settings: how.
        stages: shows the progress.
        source: for the files' metadata.
        saved: file for the trained network; checkpoints lie beside it.
        resume: go on with what an interrupted call left in and beside that file.
        signals: on SIGTERM and SIGINT what is trained is saved before the process ends.
        supernet: the search whose weights it starts from; None: it starts from scratch.

    Raises:
        Stopped: the process was asked to end; the state is saved.
        ParityFailed: a file does not compute what torch computes.
    """
    size = network.input_size
    training, test = (part.at_size(stored_size(size)) for part in (training, test))
    unfinished, finetuning = unfinished_path(saved), _finetuning_path(saved)
    trained = read_trained_network(saved) if resume and saved.exists() else None
    if trained is None or (trained.network, trained.source) != (network, source):
        model, accuracy = train_network(
            network,
            training,
            test,
            settings,
            stages,
            source=source,
            weights=saved,
            resume=resume and unfinished.exists(),
            signals=signals,
            supernet=supernet,
        )
        trained = TrainedNetwork(training.classes, source, model)
    else:
        accuracy = evaluate_network(trained, test)["float32"]
    if trained.quantized is None:
        options = QuantizeOptions(
            settings.finetune,
            batch_size=settings.batch_size,
            seed=settings.seed,
            augment=settings.train.augment,
            checkpoint_minutes=settings.checkpoint_minutes,
        )
        trained = quantize_network(
            trained,
            training,
            options,
            stages,
            checkpoint=finetuning,
            resume=resume and finetuning.exists(),
            signals=signals,
        )
        trained.write(saved)
    for checkpoint in (unfinished, finetuning):
        checkpoint.unlink(missing_ok=True)
    files: dict[Precision, bytes] = {}
    parity: dict[Precision, Parity] = {}
    compared = CentralCrops(test, size, MOST_COMPARED)
    with stages.stage("export", f"Export {network.name} and compare with torch"):
        for precision in PRECISIONS:
            with stages.bar(f"{precision} parity") as advance:
                exported = export(trained, precision, compared, advance)
            if exported.delegated is not None and exported.delegated.left:
                stages.note(exported.delegated.text)
            files[precision] = exported.content
            parity[precision] = exported.verification.parity["xnnpack"]
    stages.note(
        f"int8 accuracy {parity['int8'].accuracy:.1%}, agrees with fake quantization on "
        f"{parity['int8'].top1_agreement:.2%} of the images"
    )
    if supernet is None:
        return Deployed(network, accuracy, files, parity, trained, settings.train.epochs, len(test))
    epochs = settings.train.inheriting().epochs
    return Deployed(network, accuracy, files, parity, trained, epochs, len(test), "supernet")


def file_name(role: str, precision: Precision) -> str:
    """Name of a deployed network's file in its run's folder."""
    return f"{role}.{precision}.tflite"


def discard(saved: Path) -> None:
    """Remove a trained network's file and its checkpoints, where there are any."""
    for path in (saved, unfinished_path(saved), _finetuning_path(saved)):
        path.unlink(missing_ok=True)


def _finetuning_path(saved: Path) -> Path:
    return unfinished_path(saved.with_suffix(".int8.pt"))
