"""Biases that make up for what rounding shifts.

Rounded weights and activations shift the mean of a layer's sums; a shift of a channel is a bias,
which costs nothing to take back. Layers are corrected in order of execution, each under what the
corrected ones before it give. Source: Nagel et al., Data-Free Quantization (ICCV 2019), section
4.2, the empirical way.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from search_client.data.batches import Batch
from search_client.networks.layers import FloatNetwork
from search_client.quantization.background import BackgroundClassifier
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedNetwork
from search_client.training.step import device_of

#: images that the means are taken over: they are in memory together
_MOST_IMAGES = 128


@torch.no_grad()
def correct_biases(
    quantized: QuantizedNetwork, model: FloatNetwork, batches: Iterable[Batch]
) -> None:
    """Give each channel's sums, in place, the mean that they have in float.

    A classifier with a background is left: its biases are tied to its ranges.

    Args:
        quantized: BatchNorm folded, ranges observed; in evaluation mode afterwards.
        model: the float network that it came from.
        batches: images as they will be seen.
    """
    images = _some(batches).to(device_of(quantized))
    float_twin = QuantizedNetwork.from_float(model, model.network)
    means = _float_means(float_twin, images)
    corrected = [
        (layer, wanted)
        for layer, wanted in zip(_weighted(quantized), means, strict=True)
        if layer.int8
    ]
    for layer, wanted in corrected:
        layer.on_sums = partial(_correct, layer, wanted)
    try:
        quantized.eval()(images)
    finally:
        for layer, _ in corrected:
            layer.on_sums = None


def _float_means(float_twin: QuantizedNetwork, images: Tensor) -> list[Tensor]:
    """The mean of each channel's sums, a weighted layer each."""
    means: list[Tensor] = []
    for layer in _weighted(float_twin):
        layer.on_sums = lambda sums: means.append(_mean(sums))
    float_twin.eval()(images)
    return means


def _some(batches: Iterable[Batch]) -> Tensor:
    taken: list[Tensor] = []
    for images, _ in batches:
        taken.append(images[: _MOST_IMAGES - sum(map(len, taken))])
        if sum(map(len, taken)) >= _MOST_IMAGES:
            break
    return torch.cat(taken)


def _weighted(network: QuantizedNetwork) -> list[QuantizedLayer]:
    """Layers with weights in order, but a classifier with a background."""
    return [
        layer
        for layer in network.layers()
        if layer.layer.has_weights and not isinstance(layer, BackgroundClassifier)
    ]


def _mean(sums: Tensor) -> Tensor:
    """Of each channel, [C]."""
    return sums.transpose(0, 1).flatten(1).mean(1)


def _correct(layer: QuantizedLayer, wanted: Tensor, sums: Tensor) -> None:
    """Shift a layer's bias, and the sums that it gives now."""
    shift = wanted - _mean(sums)
    bias = layer.bias if layer.norm is None else layer.norm.bias
    bias.add_(shift)
    sums.add_(shift.reshape(1, -1, *[1] * (sums.ndim - 2)))
