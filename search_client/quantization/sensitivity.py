"""What each block costs in int8, measured: how far the network is from float with and without it.

The distance is the mean Kullback-Leibler divergence, in nats an image, of the choices that the
quantized network gives from those of the float one: it needs no labels and sees errors that do not
change the first choice yet. Source of the measure, one block after the other: Cai et al., ZeroQ
(CVPR 2020), section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec.networks import Network
from search_client.data.batches import Batches
from search_client.networks.layers import FloatNetwork
from search_client.quantization.calibration.equalisation import equalised
from search_client.quantization.mixed_precision import with_float_blocks
from search_client.quantization.post_training import (
    PTQ_BATCHES,
    PtqConfig,
    quantize_post_training,
)
from search_client.training.step import device_of


@dataclass(frozen=True)
class Sensitivity:
    """How far a network is from float in int8, and what each block takes of it; nats an image."""

    int8: float
    #: by the block's index: how much nearer the network is with this block alone in float32
    gains: dict[int, float]


class SensitivityMeter:
    """Quantizes a network after training in one mix after another, and measures its distance."""

    def __init__(
        self, model: FloatNetwork, batches: Batches, config: PtqConfig, judged: int
    ) -> None:
        """Have a trained network measured.

        Args:
            model: trained; stays as it is, in evaluation mode.
            batches: images as they will be seen, of which the first calibrate.
            config: how it is quantized.
            judged: batches that distances are taken on.
        """
        self._network = model.network
        # Equal for all mixes: what equalising changes depends on the float network alone.
        self._model = equalised(model, islice(batches, PTQ_BATCHES)) if config.equalise else model
        self._config = config.model_copy(update={"equalise": False})
        self._batches = batches
        device = device_of(model)
        self._images = [images.to(device) for images, _ in islice(batches, judged)]
        self._wanted = _choices(model, self._images)

    def distance(self, float_blocks: tuple[int, ...] = ()) -> float:
        """The divergence of a mix from the float network, nats an image."""
        network: Network = with_float_blocks(self._network, float_blocks)
        quantized = quantize_post_training(self._model, self._batches, network, self._config)
        found = _choices(quantized, self._images)
        return functional.kl_div(found, self._wanted, reduction="batchmean", log_target=True).item()

    def measure(
        self, on_block: Callable[[int, int], None] = lambda _done, _all: None
    ) -> Sensitivity:
        """Measure int8, then every block alone in float32."""
        blocks = [i for i, one in enumerate(self._network.operators) if one.place == "block"]
        int8 = self.distance()
        gains = {}
        for done, block in enumerate(blocks, start=1):
            gains[block] = int8 - self.distance((block,))
            on_block(done, len(blocks))
        return Sensitivity(int8, gains)


@torch.no_grad()
def _choices(model: nn.Module, images: list[Tensor]) -> Tensor:
    """The logarithms of the classes' probabilities, [N, classes]."""
    model.eval()
    return torch.cat([model(one).double().log_softmax(1) for one in images])
