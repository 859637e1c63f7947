"""Post-training quantization: int8 in seconds, from some batches and without finetuning."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.networks import Network
from search_client.data.batches import Batch
from search_client.networks.layers import FloatNetwork
from search_client.quantization.delegable import keep_delegable
from search_client.quantization.finetuning import calibrate
from search_client.quantization.network import QuantizedNetwork

#: batches of the calibration set
PTQ_BATCHES = 32


def quantize_post_training(
    model: FloatNetwork, batches: Iterable[Batch], network: Network | None = None
) -> QuantizedNetwork:
    """Fold a trained network and observe its ranges; no weight moves.

    Args:
        model: trained; stays as it is.
        batches: the calibration set: images as they will be seen, not augmented.
        network: the same operators in mixed precision; None: all int8.
    """
    quantized = QuantizedNetwork.from_float(model, network)
    quantized.freeze_norms()
    calibrate(quantized, batches, PTQ_BATCHES)
    keep_delegable(quantized)
    quantized.freeze_ranges()
    return quantized
