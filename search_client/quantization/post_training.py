"""Post-training quantization: int8 in seconds, from some batches and without finetuning."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch
from pydantic import Field

from netspec.networks import Network
from netspec.validation import FrozenModel
from search_client.data.batches import Batch
from search_client.networks.layers import FloatNetwork
from search_client.quantization.calibration.bias_correction import correct_biases
from search_client.quantization.calibration.equalisation import equalised
from search_client.quantization.calibration.histograms import Histogram, RangeMethod
from search_client.quantization.delegable import keep_delegable
from search_client.quantization.finetuning import calibrate
from search_client.quantization.network import QuantizedNetwork

#: batches of the calibration set
PTQ_BATCHES = 32


class PtqConfig(FrozenModel):
    """How a trained network becomes int8 without finetuning."""

    ranges: RangeMethod = Field(
        default="minmax",
        description="of activations: minmax, percentile, or mse (least squared error)",
    )
    equalise: bool = Field(
        default=True, description="channels get alike ranges where that changes nothing in float"
    )
    correct_bias: bool = Field(
        default=False, description="biases take back what rounding shifts the layers' means by"
    )


def quantize_post_training(
    model: FloatNetwork,
    batches: Iterable[Batch],
    network: Network | None = None,
    config: PtqConfig = PtqConfig(),  # noqa: B008 - it is frozen
) -> QuantizedNetwork:
    """Fold a trained network and observe its ranges; no weight is trained.

    Args:
        model: trained; stays as it is.
        batches: the calibration set: images as they will be seen, not augmented; read once for each
            thing that is observed.
        network: the same operators in mixed precision; None: all int8.
        config: how.
    """
    if config.equalise:
        model = equalised(model, islice(batches, PTQ_BATCHES))
    quantized = QuantizedNetwork.from_float(model, network)
    quantized.freeze_norms()
    calibrate(quantized, batches, PTQ_BATCHES)
    if config.ranges != "minmax":
        _choose_ranges(quantized, batches, config.ranges)
    keep_delegable(quantized)
    quantized.freeze_ranges()
    if config.correct_bias:
        correct_biases(quantized, model, islice(batches, PTQ_BATCHES))
    return quantized


@torch.no_grad()
def _choose_ranges(
    quantized: QuantizedNetwork, batches: Iterable[Batch], method: RangeMethod
) -> None:
    """Count what flows between the ends that were observed, and choose anew from that."""
    outputs = [
        layer.output
        for layer in quantized.layers()
        if layer.output is not None and not layer.output.frozen
    ]
    for output in outputs:
        output.histogram = Histogram(output.low, output.high)
    calibrate(quantized, batches, PTQ_BATCHES)
    for output in outputs:
        if output.histogram is not None:
            low, high = output.histogram.range(method)
            output.low.fill_(low)
            output.high.fill_(high)
            output.histogram = None
