"""What 8 bits cost in accuracy, on any image folder: float, post-training and finetuned int8.

For every seed a network is trained in float, then quantized twice: with ranges observed on
training images alone (PTQ), and finetuned under fake quantization (QAT). Accuracies are of the
`.tflite` files over the whole test part. Finetuning is also more training, so the float network is
trained on for as many steps, as a control. `--network`: `blocks`, 21 of the ProxylessNAS space;
`pairs`, three residual blocks, which take minutes of a core on CIFAR-10; `squeezed`, two of them
and two blocks of MobileNetV3, with hard-swish and squeeze-and-excitation. Every stage is kept in
`--run` and a second start goes on from there; a seed that ends is a line of
`results/int8_drop.jsonl`. The last line is one JSON object.

Example: python benchmarks/accuracy/int8_drop.py --data photos/ --run runs/int8_drop
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch

from netspec.layers import Activation
from netspec.networks import Network
from netspec.operators import (
    Bottleneck,
    Classifier,
    Operator,
    ResidualPair,
    StemConv,
    Stride,
)
from netspec.spaces import Space, Stage
from netspec.tflite import encode
from search_client.data.augmentation import Augment
from search_client.data.batches import PlainBatches, TrainingBatches, central_crop
from search_client.data.folders import ImageSet, read_folder, stored_size
from search_client.deployment.litert import TFLiteClassifier
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.post_training import quantize_post_training
from search_client.training.loop import TrainConfig, TrainStep, train
from search_client.training.step import Arithmetic, evaluate

State = dict[str, torch.Tensor]

#: of the ProxylessNAS space, for 32 px: 16 px after the stem, 4 px at the end
STRIDES: tuple[Stride, ...] = (1, 2, 1, 1, 2, 1)
#: peak learning rate of finetuning and of its control
FINETUNING_RATE = 0.005
#: added to the seed for the order of further training's images
FURTHER = 1000
RESULTS = Path(__file__).with_name("results") / "int8_drop.jsonl"


@dataclass(frozen=True)
class Setting:
    """What is trained, and for how long."""

    kind: Literal["blocks", "pairs", "squeezed"]
    size: int
    width: float
    batch: int
    float_epochs: int
    int8_epochs: int
    #: peak, of float training, at batches of 256
    learning_rate: float
    #: of a crop, as a fraction of the stored image
    least_area: float
    #: of the float training; finetuning and its control compute in float32
    arithmetic: Arithmetic

    def network(self, classes: int) -> Network:
        """The network that is trained."""
        return self._blocks(classes) if self.kind == "blocks" else self._pairs(classes)

    def _pairs(self, classes: int) -> Network:
        """Residual pairs of 32, 64 and 128 channels times twice the width, each of stride 2."""
        squeezed = self.kind == "squeezed"
        activation: Activation = "hard_swish" if squeezed else "relu"
        first, *wider = [round(2 * self.width * channels) for channels in (16, 32, 64, 128)]
        operators: list[Operator] = [
            StemConv(input_size=self.size, in_channels=3, out_channels=first, activation=activation)
        ]
        size, channels = self.size, first
        for out in wider[: 2 if squeezed else 3]:
            operators.append(
                ResidualPair(
                    input_size=size,
                    in_channels=channels,
                    out_channels=out,
                    middle=out,
                    stride=2,
                    activation=activation,
                )
            )
            size, channels = -(-size // 2), out
        bottlenecks: list[tuple[Stride, int]] = [(1, channels), (2, 2 * channels)]
        for stride, out in bottlenecks if squeezed else ():
            operators.append(
                Bottleneck(
                    input_size=size,
                    in_channels=channels,
                    out_channels=out,
                    middle=3 * channels,
                    squeeze=3 * channels // 4,
                    stride=stride,
                    residual=stride == 1,
                )
            )
            size, channels = -(-size // stride), out
        operators.append(Classifier(input_size=size, in_channels=channels, out_channels=classes))
        return Network(name=f"{self.kind} {self.width:g}", operators=tuple(operators))

    def _blocks(self, classes: int) -> Network:
        """21 blocks, kernel 3 and expansion 3, with strides for small images."""
        stages = tuple(
            Stage(channels=stage.channels, depth=stage.depth, stride=stride)
            for stage, stride in zip(Space().stages, STRIDES, strict=True)
        )
        space = Space(input_size=self.size, width=self.width, classes=classes, stages=stages)
        return space.network([0] * len(space.blocks))


@dataclass(frozen=True)
class Data:
    """Both parts of a folder."""

    training: ImageSet
    test: ImageSet

    def batches(self, setting: Setting, seed: int) -> TrainingBatches:
        """Augmented training batches."""
        augment = Augment(least_area=setting.least_area)
        return TrainingBatches(self.training, setting.size, setting.batch, seed, augment)


def shown(label: str) -> Callable[[TrainStep], None]:
    """Prints progress once a hundred steps."""
    start = time.monotonic()

    def show(step: TrainStep) -> None:
        if step.done % 100 == 0 or step.done == step.total:
            print(
                f"{label}: {step.done}/{step.total}, loss {step.loss:.3f}, accuracy "
                f"{step.accuracy:.1%}, {time.monotonic() - start:.0f} s",
                flush=True,
            )

    return show


def kept(path: Path, make: Callable[[], State]) -> State:
    """What `make` gives, from the file where an earlier start left it."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        torch.save(make(), unfinished)
        unfinished.rename(path)
    state: State = torch.load(path, weights_only=True)
    return state


def float_network(data: Data, setting: Setting, seed: int, folder: Path) -> FloatNetwork:
    """A network trained in float."""
    torch.manual_seed(seed)
    model = FloatNetwork(setting.network(len(data.training.classes)))

    def trained() -> State:
        config = TrainConfig(
            epochs=setting.float_epochs,
            learning_rate=setting.learning_rate,
            arithmetic=setting.arithmetic,
            rising_epochs=min(1, setting.float_epochs - 1) if setting.kind != "blocks" else 0,
        )
        train(model, data.batches(setting, seed), config, shown(f"seed {seed} float"))
        return model.state_dict()

    model.load_state_dict(kept(folder / f"{seed}.float.pt", trained))
    return model


def file_accuracy(network: QuantizedNetwork, data: Data) -> float:
    """Top-1 (fraction) of the exported int8 file."""
    network.eval()
    file = encode(network.network.operators, network.parameters_for_export())
    crops = central_crop(data.test.images, network.network.input_size)
    logits = TFLiteClassifier(file).logits(crops.permute(0, 2, 3, 1).contiguous().numpy())
    return float((logits.argmax(axis=1) == data.test.labels.numpy()).mean())


def quantized_by_ranges(model: FloatNetwork, data: Data, setting: Setting, seed: int) -> float:
    """Top-1 (fraction) of the file after post-training quantization."""
    batches = PlainBatches(data.training, setting.size, 64, shuffle_seed=seed)
    return file_accuracy(quantize_post_training(model, batches), data)


def quantized_by_finetuning(model: FloatNetwork, data: Data, setting: Setting, seed: int) -> float:
    """Top-1 (fraction) of the file after quantization-aware finetuning."""
    config = QatConfig(
        epochs=setting.int8_epochs, norm_epochs=1, frozen_epochs=1, learning_rate=FINETUNING_RATE
    )
    batches = data.batches(setting, seed + FURTHER)
    finetuned, _ = finetune_int8(model, batches, config, shown(f"seed {seed} int8"))
    return file_accuracy(finetuned, data)


def trained_on(model: FloatNetwork, data: Data, setting: Setting, seed: int) -> float:
    """Top-1 (fraction) of the float network after as many further steps as finetuning took."""
    longer = copy.deepcopy(model)
    config = TrainConfig(epochs=setting.int8_epochs, learning_rate=FINETUNING_RATE, rising_epochs=0)
    batches = data.batches(setting, seed + FURTHER)
    train(longer, batches, config, shown(f"seed {seed} control"))
    return evaluate(longer, PlainBatches(data.test, setting.size, 250))


def accuracies(data: Data, setting: Setting, seed: int, folder: Path) -> dict[str, float]:
    """Top-1 (fractions) of one seed's networks; each is kept as soon as it is known."""
    result = folder / f"{seed}.json"
    found: dict[str, float] = json.loads(result.read_text()) if result.exists() else {}
    stages: dict[str, Callable[[FloatNetwork], float]] = {
        "float": lambda model: evaluate(model, PlainBatches(data.test, setting.size, 250)),
        "ptq": lambda model: quantized_by_ranges(model, data, setting, seed),
        "qat": lambda model: quantized_by_finetuning(model, data, setting, seed),
        "float_trained_on": lambda model: trained_on(model, data, setting, seed),
    }
    for name, stage in stages.items():
        if name not in found:
            found[name] = stage(float_network(data, setting, seed, folder))
            result.write_text(json.dumps(found))
            print(f"seed {seed}: {name} {found[name]:.2%}", flush=True)
            if len(found) == len(stages):
                keep_row(data, setting, seed, found)
    return found


def keep_row(data: Data, setting: Setting, seed: int, found: dict[str, float]) -> None:
    """Add a line of one seed to the results, top-1 as fractions."""
    network = setting.network(len(data.training.classes)).content_hash
    row = {"network": network, "setting": vars(setting), "seed": seed, "top1": found}
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as lines:
        lines.write(json.dumps({**row, "test_images": len(data.test)}) + "\n")


def main() -> None:
    """Train what is not kept yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="an image folder")
    parser.add_argument(
        "--run", type=Path, default=Path("runs/int8_drop"), help="folder that keeps every stage"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one network each")
    parser.add_argument("--network", choices=["blocks", "pairs", "squeezed"], default="blocks")
    parser.add_argument("--size", type=int, default=32, help="px")
    parser.add_argument("--width", type=float, default=0.5, help="multiplies the channels")
    parser.add_argument("--batch", type=int, default=64, help="images of a step")
    parser.add_argument("--float-epochs", type=int, default=3, help="of training in float")
    parser.add_argument("--int8-epochs", type=int, default=2, help="of finetuning; 2 at least")
    parser.add_argument("--learning-rate", type=float, default=0.05, help="peak, of float training")
    parser.add_argument("--least-area", type=float, default=0.35, help="of a crop")
    parser.add_argument(
        "--arithmetic",
        choices=get_args(Arithmetic),
        default="float32",
        help="of float training; bfloat16 is faster where a processor multiplies in it",
    )
    given = parser.parse_args()
    setting = Setting(
        given.network,
        given.size,
        given.width,
        given.batch,
        given.float_epochs,
        given.int8_epochs,
        given.learning_rate,
        given.least_area,
        given.arithmetic,
    )
    given.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = Data(*read_folder(given.data, stored_size(given.size), lambda _done, _total: None))
    rows = {seed: accuracies(data, setting, seed, given.run) for seed in given.seeds}
    for seed, row in rows.items():
        print(f"seed {seed}: " + ", ".join(f"{name} {value:.2%}" for name, value in row.items()))
    mean = {
        name: statistics.mean(row[name] for row in rows.values()) for name in rows[given.seeds[0]]
    }
    drops = {f"{name}_drop_points": 100 * (mean["float"] - mean[name]) for name in ("ptq", "qat")}
    against = 100 * (mean["float_trained_on"] - mean["qat"])
    print(
        json.dumps(
            {
                **{f"accuracy_{name}": value for name, value in mean.items()},
                **drops,
                "qat_drop_against_control_points": against,
                "seeds": len(rows),
                "test_images": len(data.test),
                "setting": vars(setting),
                "network": setting.network(len(data.training.classes)).content_hash,
            }
        )
    )


if __name__ == "__main__":
    main()
