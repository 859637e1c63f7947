"""Three joint epochs of one step each; one of several processes has its part of the batch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from netspec.errors import UserError
from netspec.layers import Parameters
from netspec.tflite import encode
from search_client.data.batches import Batch
from search_client.deployment.accuracy import evaluate_file
from search_client.deployment.trained_network import NOWHERE, TrainedNetwork
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import Linear
from search_client.latency.objective import Aim, Goal
from search_client.networks.layers import FloatNetwork, folded_parameters
from search_client.progress import Stages
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.pixels import USUAL
from search_client.search.config import SearchConfig
from search_client.search.loop import Search
from search_client.stages.data import read_test_images
from search_client.stages.train import evaluate_network
from search_client.supernet.binary_gates import Gradient
from search_client.supernet.variants import Family
from search_client.training import distributed
from search_client.training.checkpoints import Checkpoints, save
from search_client.training.loop import TrainConfig, train
from tests.unit.search_client.tiny import tiny_space


class Halves:
    """The same batch of 8 images every epoch, or this process's half of it."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(8, 3, 24, 24, generator=generator)
        labels = torch.arange(8) % 3
        count = 8 // distributed.world()
        mine = slice(distributed.rank() * count, (distributed.rank() + 1) * count)
        self.batch = images[mine], labels[mine]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        del number
        yield from [self.batch][start:]


def run(gradient: Gradient, folder: Path) -> None:
    """Leaves the last state, alpha and beta of every process in a folder."""
    # Processes that begin apart must agree on the first one's weights.
    torch.manual_seed(distributed.rank())
    family = Family(tiny_space(), sizes=(16, 24))
    costs = torch.tensor([[5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0]]).repeat(2, 1)
    goal = Goal([Aim("a", 9.0)], [[ExpectedLatency(2.0, costs), ExpectedLatency(3.0, costs)]])
    config = SearchConfig(
        latency_loss=Linear(),
        gradient=gradient,
        warmup_epochs=0,
        joint_epochs=3,
        joint_learning_rate=0.1,
        weight_steps_per_architecture_step=1,
        architecture_learning_rate=0.05,
        # BatchNorm sees half of the batch in either case.
        micro_batches=2 // distributed.world(),
    )
    search = Search(family, goal, Halves(1), Halves(2), config)
    search.run(Checkpoints(None))
    parameters = {name: value.detach() for name, value in family.named_parameters()}
    path = folder / f"{gradient}-{distributed.world()}-{distributed.rank()}.pt"
    save({"parameters": parameters, "steps": len(search.history.architecture_steps)}, path)


def run_training(folder: Path) -> None:
    """Leaves every process's weights after three epochs of training in a folder."""
    torch.manual_seed(distributed.rank())
    model = FloatNetwork(tiny_space().network([1, 4]))
    config = TrainConfig(
        epochs=3,
        learning_rate=0.1,
        rising_epochs=0,
        micro_batches=2 // distributed.world(),
    )
    train(model, Halves(1), config, lambda _: None)
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    save(
        {"parameters": parameters},
        folder / f"training-{distributed.world()}-{distributed.rank()}.pt",
    )


def run_finetuning(folder: Path) -> None:
    """Leaves every process's int8 weights after four epochs of finetuning in a folder."""
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([1, 4]))
    config = QatConfig(epochs=4, norm_epochs=2, frozen_epochs=1, learning_rate=0.1)
    quantized, _ = finetune_int8(model, Halves(1), config, lambda _: None)
    parameters = {name: value.detach() for name, value in quantized.named_parameters()}
    save({"parameters": parameters}, folder / f"finetuning-{distributed.rank()}.pt")


class BrokenOnce(Halves):
    """Halves, of which the last process's holds no numbers the first time that step comes."""

    def __init__(self, seed: int, step: int) -> None:
        super().__init__(seed)
        self.left = step if distributed.rank() == distributed.world() - 1 else -1

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        for images, labels in super().epoch(number, start):
            self.left -= 1
            yield (images * torch.nan if self.left == -1 else images), labels


def run_broken_finetuning(folder: Path) -> None:
    """Leaves every process's int8 weights, and how often it went back, in a folder."""
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([1, 4]))
    config = QatConfig(epochs=4, norm_epochs=2, frozen_epochs=1, learning_rate=0.1)
    told: list[str] = []
    # The first batch is the calibration's.
    quantized, _ = finetune_int8(model, BrokenOnce(1, 2), config, lambda _: None, tell=told.append)
    state = {"parameters": dict(quantized.state_dict()), "told": told}
    save(state, folder / f"broken-{distributed.rank()}.pt")


def run_same(folder: Path) -> None:
    """Leaves what every process is told of the first one's text, and of its error, in a folder."""

    def fail() -> str:
        raise UserError(f"asked by {distributed.rank()}")

    told = distributed.same(lambda: f"grüße of {distributed.rank()}")
    try:
        distributed.same(fail)
    except UserError as error:
        told += f", {error}"
    (folder / f"same-{distributed.rank()}.txt").write_text(told, encoding="utf-8")


def run_evaluation(folder: Path) -> None:
    """Leaves in a folder what every process finds of its images, an odd number of them."""
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([1, 4])).eval()
    file = folder / f"net-{distributed.world()}-{distributed.rank()}.tflite"
    file.write_bytes(encode(model.network.operators, Parameters(folded_parameters(model), {})))
    found = evaluate_file(file, folder / "images", workers=1, normalisation=USUAL)
    trained = TrainedNetwork((), NOWHERE, model)
    test = read_test_images(folder / "images", 16, Stages(quiet=True))
    told = asdict(found) | evaluate_network(trained, test)
    name = f"evaluation-{distributed.world()}-{distributed.rank()}.json"
    (folder / name).write_text(json.dumps(told), encoding="utf-8")


def threads() -> list[str]:
    """Names of this process's threads, those outside Python too."""
    return sorted(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))


def take_part(rank: int, world: int, port: int, folder: Path) -> None:
    """What torchrun starts, and the environment that it starts it in."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    gradients: tuple[Gradient, ...] = ("two", "full_v2", "reinforce")
    with distributed.joined():
        for gradient in gradients:
            run(gradient, folder)
        run_training(folder)
        run_finetuning(folder)
        run_broken_finetuning(folder)
        run_same(folder)
        run_evaluation(folder)
        (folder / f"threads-within-{rank}.txt").write_text(" ".join(threads()))
    (folder / f"threads-after-{rank}.txt").write_text(" ".join(threads()))
