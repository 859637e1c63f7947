"""What 8 bits cost in accuracy, on any image folder: float, post-training and finetuned int8.

For every seed a 21-block network is trained in float, then quantized twice: with ranges
observed on training images alone (PTQ), and finetuned under fake quantization (QAT). Accuracies
are of the `.tflite` files over the whole test part. Finetuning is also more training, so the float
network is trained on for as many steps, as a control. Every stage is kept in `--run` and a second
start goes on from there. The last line is one JSON object.

Example: python benchmarks/accuracy/int8_drop.py --data photos/ --run runs/int8_drop
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from netspec.networks import Network
from netspec.operators import StemConv
from netspec.spaces import Space, Stage
from netspec.tflite import encode
from search_client.batches import PlainBatches, TrainingBatches, central_crop
from search_client.images import ImageSet, read_folder, stored_size
from search_client.litert import TFLiteClassifier
from search_client.modules import FloatNetwork
from search_client.qat import QatConfig, calibrate, finetune_int8
from search_client.quantize import QuantizedNetwork
from search_client.steps import evaluate
from search_client.train import TrainConfig, TrainStep, train

#: of the ProxylessNAS space, for 32 px: 16 px after the stem, 4 px at the end
STRIDES = (1, 2, 1, 1, 2, 1)


@dataclass(frozen=True)
class Setting:
    """What is trained, and for how long."""

    size: int
    width: float
    batch: int
    float_epochs: int
    int8_epochs: int

    def network(self, classes: int) -> Network:
        """21 blocks, kernel 3 and expansion 3, with strides for small images."""
        stages = tuple(
            Stage(channels=stage.channels, depth=stage.depth, stride=cast("Any", stride))
            for stage, stride in zip(Space().stages, STRIDES, strict=True)
        )
        space = Space(input_size=self.size, width=self.width, classes=classes, stages=stages)
        network = space.network([0] * len(space.blocks))
        if not isinstance(network.operators[0], StemConv):
            raise TypeError
        return network


@dataclass(frozen=True)
class Data:
    """Both parts of a folder."""

    training: ImageSet
    test: ImageSet

    def batches(self, setting: Setting, seed: int) -> TrainingBatches:
        """Augmented training batches."""
        return TrainingBatches(self.training, setting.size, setting.batch, seed)


def shown(label: str) -> Any:
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


def kept(path: Path, make: Any) -> Any:
    """What `make` gives, from the file where an earlier start left it."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        torch.save(make(), unfinished)
        unfinished.rename(path)
    return torch.load(path, weights_only=True)


def float_network(data: Data, setting: Setting, seed: int, folder: Path) -> FloatNetwork:
    """A network trained in float."""
    torch.manual_seed(seed)
    model = FloatNetwork(setting.network(len(data.training.classes)))

    def trained() -> dict[str, torch.Tensor]:
        config = TrainConfig(epochs=setting.float_epochs, learning_rate=0.05, rising_epochs=0)
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


def accuracies(data: Data, setting: Setting, seed: int, folder: Path) -> dict[str, float]:
    """Top-1 (fractions) of one seed's networks."""
    result = folder / f"{seed}.json"
    if result.exists():
        return cast("dict[str, float]", json.loads(result.read_text()))
    model = float_network(data, setting, seed, folder)
    test = PlainBatches(data.test, setting.size, 250)
    found = {"float": evaluate(model, test)}

    post_training = QuantizedNetwork.from_float(model)
    calibrate(post_training, PlainBatches(data.training, setting.size, 64, shuffle_seed=seed))
    found["ptq"] = file_accuracy(post_training, data)
    print(f"seed {seed}: {found}", flush=True)

    finetuning = QatConfig(
        epochs=setting.int8_epochs, norm_epochs=1, frozen_epochs=1, learning_rate=0.005
    )
    batches = data.batches(setting, seed + 1000)
    finetuned, _ = finetune_int8(model, batches, finetuning, shown(f"seed {seed} int8"))
    found["qat"] = file_accuracy(finetuned, data)
    print(f"seed {seed}: {found}", flush=True)

    control: nn.Module = copy.deepcopy(model)
    batches = data.batches(setting, seed + 1000)
    longer = TrainConfig(
        epochs=setting.int8_epochs, learning_rate=finetuning.learning_rate, rising_epochs=0
    )
    train(control, batches, longer, shown(f"seed {seed} control"))
    found["float_trained_on"] = evaluate(control, test)
    result.write_text(json.dumps(found))
    return found


def main() -> None:
    """Train what is not kept yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="an image folder")
    parser.add_argument("--run", type=Path, default=Path("runs/int8_drop"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=32, help="px")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--float-epochs", type=int, default=3)
    parser.add_argument("--int8-epochs", type=int, default=2)
    given = parser.parse_args()
    setting = Setting(given.size, given.width, given.batch, given.float_epochs, given.int8_epochs)
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
    np.seterr(all="raise", under="ignore")
    main()
