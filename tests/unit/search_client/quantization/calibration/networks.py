"""Small networks with running statistics of some images, and one with a channel of outliers."""

from typing import cast

import torch
from torch import Tensor

from netspec.spaces import Space
from search_client.data.batches import Batch, PlainBatches
from search_client.networks.layers import ConvLayer, FloatNetwork, OperatorModule
from search_client.training.loop import TrainConfig, train
from tests.unit.search_client.tiny import tiny_images, tiny_space

CHANNEL = 3


def trained(space: Space | None = None, choices: tuple[int, ...] = (0, 3)) -> FloatNetwork:
    torch.manual_seed(0)
    space = space or tiny_space()
    model = FloatNetwork(space.network(list(choices)))
    batches = PlainBatches(tiny_images(120), 16, 20, shuffle_seed=0, device=torch.device("cpu"))
    config = TrainConfig(epochs=4, rising_epochs=0, learning_rate=0.05)
    train(model, batches, config, lambda _: None)
    return model.eval()


def some_batches(count: int = 3) -> list[Batch]:
    made = PlainBatches(tiny_images(60, seed=5), 16, 20, shuffle_seed=0, device=torch.device("cpu"))
    return list(made)[:count]


def images() -> Tensor:
    return torch.cat([images for images, _ in some_batches()])


def layer(model: FloatNetwork, operator: int, name: str) -> ConvLayer:
    return cast("ConvLayer", cast("OperatorModule", model.operators[operator]).chain[name])


@torch.no_grad()
def with_outlier(model: FloatNetwork, factor: float = 200.0) -> FloatNetwork:
    """The same function, in place: behind two blocks one channel is so many times as great."""
    for maker in (layer(model, 2, "project"), layer(model, 3, "project")):
        maker.norm.weight[CHANNEL] *= factor
        maker.norm.bias[CHANNEL] *= factor
    for reader in (layer(model, 3, "expand"), layer(model, 4, "conv")):
        reader.weight[:, CHANNEL] /= factor
    return model
