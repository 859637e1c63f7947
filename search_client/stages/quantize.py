"""What the quantization commands share: images of a run, finetuning or calibration, writing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from netspec.networks import Network
from netspec.tflite import encode
from search_client.data.augmentation import USUAL, Augment
from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.data.folders import LabelledImages
from search_client.deployment.delegates import delegated, require_delegated
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.classes import with_background, with_classes
from search_client.progress import Stages
from search_client.quantization.calibration.coarse import require_fine
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.mixed_precision import with_float_blocks
from search_client.quantization.post_training import PtqConfig, quantize_post_training
from search_client.recipe import CHECKPOINT_MINUTES
from search_client.stages.train import curve_of, training_stage
from search_client.training import distributed
from search_client.training.checkpoints import Checkpoints
from search_client.training.distributed import device

#: by which a network that was quantized after training is judged
_JUDGED_BATCHES = 1


@dataclass(frozen=True)
class QuantizeOptions:
    """How a trained network becomes int8."""

    #: None: post-training, without finetuning
    finetuning: QatConfig | None
    #: how that is done
    post_training: PtqConfig = field(default_factory=PtqConfig)
    #: indices of the operators kept in float32
    float_blocks: Collection[int] = ()
    batch_size: int = 256
    seed: int = 0
    #: of the images that it is finetuned on
    augment: Augment = USUAL
    #: time between two checkpoints, minutes
    checkpoint_minutes: float = CHECKPOINT_MINUTES

    def settings(self) -> dict[str, Any]:
        """Return what the result depends on, by name."""
        return {
            "finetune": self.finetuning and self.finetuning.model_dump(mode="json"),
            "post_training": None
            if self.finetuning
            else self.post_training.model_dump(mode="json"),
            "float_blocks": sorted(self.float_blocks),
            "batch_size": self.batch_size,
            "seed": self.seed,
        }


def background_added(trained: TrainedNetwork, seed: int) -> TrainedNetwork:
    """The same float network with a background class in front."""
    model, classes = with_background(trained.model, trained.classes, seed)
    return replace(trained, model=model, classes=classes, quantized=None)


def classes_changed(trained: TrainedNetwork, classes: Sequence[str], seed: int) -> TrainedNetwork:
    """The same float network for other classes; those it does not know start untrained."""
    model = with_classes(trained.model, trained.classes, classes, seed)
    return replace(trained, model=model, classes=tuple(classes), quantized=None)


def _int8_network(trained: TrainedNetwork, options: QuantizeOptions) -> Network:
    network = trained.network.with_precision("int8")
    return with_float_blocks(network, options.float_blocks) if options.float_blocks else network


def refuse_undelegated(trained: TrainedNetwork, options: QuantizeOptions) -> None:
    """See that XNNPACK takes over all kinds of operators that a network will have in int8.

    Before it is finetuned, which takes long: with weights of no meaning.

    Raises:
        NotDelegated: it does not; the operators are named.
    """
    file = encode(_int8_network(trained, options).operators)
    require_delegated(delegated(file), allow_partial=False)


def quantize_network(
    trained: TrainedNetwork,
    training: LabelledImages,
    options: QuantizeOptions,
    stages: Stages,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    signals: bool = True,
) -> TrainedNetwork:
    """The network with int8 weights and ranges, finetuned or post-training.

    Args:
        trained: with float weights; they move to the device where networks are trained.
        training: images, labelled for it.
        options: how.
        stages: shows the progress.
        checkpoint: file for the state of a finetuning; to be removed once its result is written.
        resume: go on from the checkpoint.
        signals: on SIGTERM and SIGINT a finetuning saves itself before it ends.

    Raises:
        Stopped: the process was asked to end; the state is saved.
        NotFinite: the network's numbers, or those of its finetuning, are no numbers.
        TooCoarse: post-training: 8 bits lose what it knows, in the layer that is named.
    """
    trained.model.to(device())
    size, seed = trained.network.input_size, options.seed
    network = _int8_network(trained, options)
    if options.finetuning is None:
        with stages.stage("quantize", f"Observe the ranges of {trained.network.name}"):
            plain = PlainBatches(
                training, size, options.batch_size, shuffle_seed=seed, device=device()
            )
            quantized = quantize_post_training(trained.model, plain, network, options.post_training)
            require_fine(quantized, trained.model, islice(plain, _JUDGED_BATCHES))
        return replace(trained, quantized=quantized)
    if options.finetuning.task is not None:
        options.finetuning.task.check(len(training.classes))
    batches = TrainingBatches(
        training,
        size,
        distributed.share(options.batch_size),
        seed,
        options.augment,
        device=device(),
        shard=distributed.shard(),
    )
    data = "" if checkpoint is None else training.fingerprint()
    checkpoints = Checkpoints(checkpoint, options.checkpoint_minutes, data=data, signals=signals)
    state = checkpoints.resumed(stages.note) if resume else None
    torch.manual_seed(seed)
    heading = f"Finetune {trained.network.name} as int8"
    part = curve_of("finetune", trained.network)
    with training_stage(stages, "quantize", heading, "finetuning", part) as show:
        quantized, _ = finetune_int8(
            trained.model,
            batches,
            options.finetuning,
            show,
            network,
            checkpoints=checkpoints,
            resume=state,
            tell=stages.note,
        )
    return replace(trained, quantized=quantized)
