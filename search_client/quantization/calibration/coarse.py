"""Networks that 8 bits cannot tell apart: refused, with the layer that is to blame.

An activation has one step for all of its channels. Where one channel, or one weight behind it, is
200 times what the others are, that step is coarser than all that the others say. Parity does not
show it: the file computes what fake quantization does, and both are wrong alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from netspec.errors import UserError
from netspec.layers import layer_name
from search_client.data.batches import Batch
from search_client.networks.layers import FloatNetwork
from search_client.networks.weightless import activate
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedNetwork, QuantizedOperator
from search_client.quantization.ranges import Activations, FakeQuantizedActivation
from search_client.training.step import device_of

#: share of images on which int8 is to choose as float does, ties counted
LEAST_AGREEMENT = 0.9
#: steps that the middle channel of a layer is to reach
_LEAST_STEPS = 4.0
#: classes whose logits are so few steps apart are tied
_TIE_STEPS = 4.5


class TooCoarse(UserError):
    """8 bits lose what a network knows."""


@dataclass(frozen=True)
class CoarseLayer:
    """A layer one of whose channels takes nearly all codes."""

    name: str
    #: with the greatest magnitude
    channel: int
    #: its magnitude over that of the middle channel
    times: float
    #: that the middle channel reaches at most
    steps: float


@torch.no_grad()
def require_fine(
    quantized: QuantizedNetwork, model: FloatNetwork, batches: Iterable[Batch]
) -> None:
    """See that a network that was quantized after training still chooses as it did in float.

    Where it does not and no layer is coarse, many small errors add up; that is told by accuracy.

    Args:
        quantized: in evaluation mode afterwards.
        model: the float network; in evaluation mode afterwards.
        batches: images as they will be seen.

    Raises:
        TooCoarse: it does not, and a layer is coarse.
    """
    images = torch.cat([images for images, _ in batches]).to(device_of(quantized))
    coarse: list[CoarseLayer] = []
    handles = [
        output.register_forward_hook(partial(_watch, coarse, name))
        for name, output in _outputs(quantized.eval())
    ]
    ends: list[Activations] = []
    last = quantized.operators[-1]
    handles.append(last.register_forward_hook(lambda _module, _given, end: ends.append(end)))
    try:
        quantized(images)
    finally:
        for handle in handles:
            handle.remove()
    logits, scale = ends[0].values, ends[0].scale
    tie = 0.0 if scale is None else _TIE_STEPS * scale.item()
    wanted = model.eval()(images).argmax(1, keepdim=True)
    behind = logits.amax(1) - logits.gather(1, wanted)[:, 0]
    agreement = float((behind <= tie).float().mean())
    if agreement >= LEAST_AGREEMENT or not coarse:
        return
    first = coarse[0]
    block = first.name.split(".")[0]
    raise TooCoarse(
        f"in int8 the network chooses as in float on {agreement:.0%} of {len(images)} images, less "
        f"than {LEAST_AGREEMENT:.0%}: channel {first.channel} of layer {first.name} spans "
        f"{first.times:.0f} times what the middle channel does, which keeps {first.steps:.1f} of "
        "255 steps. Equalise channels where that is off (--equalise), clip (--ranges percentile), "
        f"finetune instead of --ptq, or keep the block in float32 (--float-blocks {block})"
    )


def _outputs(quantized: QuantizedNetwork) -> Iterator[tuple[str, FakeQuantizedActivation]]:
    """What rounds each layer's output, by the layer's name, in order of execution."""
    for index, module in enumerate(quantized.operators):
        operator = cast("QuantizedOperator", module)
        for layer in operator.graph:
            output = cast("QuantizedLayer", operator.layers[layer.name]).output
            if output is not None:
                yield layer_name(index, layer), output


def _watch(
    coarse: list[CoarseLayer],
    name: str,
    module: FakeQuantizedActivation,
    given: tuple[Tensor],
    output: Activations,
) -> None:
    """Note a layer that is coarse, by what it gives before that is rounded."""
    spans = activate(given[0], module.activation).abs().transpose(0, 1).flatten(1).amax(1)
    used = spans[spans > 0]
    if not len(used):
        return
    middle, step = used.median().item(), cast("Tensor", output.scale).item()
    if middle < _LEAST_STEPS * step:
        times = spans.amax().item() / middle
        coarse.append(CoarseLayer(name, int(spans.argmax()), times, middle / step))
