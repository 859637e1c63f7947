"""What each technique of quantization does to a small network, on the demo's photographs.

Two networks, MobileNetV2 and one with squeeze-and-excitation and hard-swish, are trained in float
for a minute or two, then quantized in every way: post-training with each range method, equalised
channels and corrected biases, and finetuned with each option. Shown are top-1 over the test images,
the share of them for which the float network chooses the same class, and how far the logits are
from the float ones, over their deviation. Post-training ways are also tried on a network of the
same function with an outlier: what leaves its widest blocks has one channel that is 200 times as
great. All are computed under fake quantization, which files agree with. One seed, few steps: the
order of close figures means nothing. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from netspec.networks import SHIPPED_NETWORKS
from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.data.folders import ImageSet, read_folder, stored_size
from search_client.demo.photographs import write_photographs
from search_client.networks.layers import ConvLayer, FloatNetwork, OperatorModule
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.post_training import PtqConfig, quantize_post_training
from search_client.training.loop import TrainConfig, train

NETWORKS = {"mobilenet_v2": 0.35, "mobilenet_v3_small": 0.5}
OUTLIER = 200.0
BATCH = 32

POST_TRAINING = {
    "minmax": PtqConfig(equalise=False),
    "percentile": PtqConfig(ranges="percentile", equalise=False),
    "mse": PtqConfig(ranges="mse", equalise=False),
    "equalised": PtqConfig(),
    "corrected biases": PtqConfig(equalise=False, correct_bias=True),
    "equalised, corrected": PtqConfig(correct_bias=True),
    "mse, equalised, corrected": PtqConfig(ranges="mse", correct_bias=True),
}
FINETUNED: dict[str, dict[str, Any]] = {
    "finetuned": {},
    "finetuned, statistics anew": {"statistics_batches": 50},
    "finetuned, learned ranges": {"learn_ranges": True},
}


@dataclass(frozen=True)
class Judge:
    """Compares networks with the float one, over all test images."""

    test: ImageSet
    size: int
    wanted: Tensor

    def row(self, model: nn.Module) -> dict[str, float]:
        """Top-1 and agreement in percent, and the relative error."""
        found = logits_of(model, self.test, self.size)
        chosen = found.argmax(1)
        return {
            "top1": 100 * float((chosen == self.test.labels).float().mean()),
            "agreement": 100 * float((chosen == self.wanted.argmax(1)).float().mean()),
            "error": float((found - self.wanted).square().mean().sqrt() / self.wanted.std()),
        }


@torch.no_grad()
def logits_of(model: nn.Module, images: ImageSet, size: int) -> Tensor:
    """Of all images, in order."""
    model.eval()
    return torch.cat([model(batch) for batch, _ in PlainBatches(images, size, 100)])


@torch.no_grad()
def with_outlier(model: FloatNetwork) -> FloatNetwork | None:
    """The same function with one channel that is larger, between the last block and the head.

    None: the last block ends in a sum, whose branches would all have to be larger.
    """
    made = copy.deepcopy(model)
    operators = [cast("OperatorModule", one) for one in made.operators]
    last = max(at for at, one in enumerate(model.network.operators) if one.place == "block")
    maker = list(operators[last].chain.values())[-1]
    reader = next(iter(operators[last + 1].chain.values()))
    if not isinstance(maker, ConvLayer) or not isinstance(reader, ConvLayer):
        return None
    maker.norm.weight[0] *= OUTLIER
    maker.norm.bias[0] *= OUTLIER
    reader.weight[:, 0] /= OUTLIER
    return made


def rows_of(
    name: str, training: ImageSet, test: ImageSet, size: int, epochs: int, int8_epochs: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """One network in every way."""
    torch.manual_seed(0)
    network = SHIPPED_NETWORKS[name](
        input_size=size, width=NETWORKS[name], classes=len(training.classes)
    )
    model = FloatNetwork(network)
    config = TrainConfig(epochs=epochs, learning_rate=0.2, rising_epochs=1)
    train(model, TrainingBatches(training, size, BATCH, 0), config, lambda _: None)
    judge = Judge(test, size, logits_of(model, test, size))
    yield "float", judge.row(model)
    calibration = PlainBatches(training, size, BATCH, shuffle_seed=0)
    for way, post_training in POST_TRAINING.items():
        quantized = quantize_post_training(model, calibration, config=post_training)
        yield f"post-training: {way}", judge.row(quantized)
    outlier = with_outlier(model)
    if outlier is not None:
        for way, post_training in POST_TRAINING.items():
            quantized = quantize_post_training(outlier, calibration, config=post_training)
            yield f"outlier, post-training: {way}", judge.row(quantized)
    for way, options in FINETUNED.items():
        schedule = {"epochs": int8_epochs, "norm_epochs": 1, "frozen_epochs": 1}
        finetuning = QatConfig.model_validate({**schedule, **options})
        batches = TrainingBatches(training, size, BATCH, 1)
        yield way, judge.row(finetune_int8(model, batches, finetuning, lambda _: None)[0])


def main() -> None:
    """Train, quantize in every way, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=64, help="px")
    parser.add_argument("--epochs", type=int, default=8, help="in float")
    parser.add_argument("--int8-epochs", type=int, default=3, help="of each finetuning")
    parser.add_argument("--network", choices=NETWORKS, help="one of them alone")
    options = parser.parse_args()
    size: int = options.size
    chosen = [options.network] if options.network else list(NETWORKS)
    torch.set_num_threads(1)
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photographs"
        write_photographs(folder, stored_size(size), 2_400, 1_000, 0, lambda _done, _all: None)
        training, test = read_folder(folder, stored_size(size), lambda _done, _all: None)
    for network in chosen:
        print(f"{network} {size}-{NETWORKS[network]:g}")
        for way, row in rows_of(network, training, test, size, options.epochs, options.int8_epochs):
            found.setdefault(network, {})[way] = row
            print(
                f"  {way:<52} top-1 {row['top1']:5.1f} %  as float {row['agreement']:5.1f} %  "
                f"error {row['error']:.3f}",
                flush=True,
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
