"""Channels made alike before they are rounded, so that one of them does not take all codes.

An activation has one scale for all of its channels, a weight one for each output channel. So a
channel that spans 200 times what the others do leaves them one code or two. Dividing a channel by
a factor where it is made, and multiplying the weights that read it by the same, changes nothing in
float. It can be done wherever only sums, means, maxima, zeros around and ReLU lie between: what
flows there is called a stream. MobileNetV2's streams are those between its blocks; ReLU6 saturates
at one value for all channels and ends one.

Source: Nagel et al., Data-Free Quantization (ICCV 2019), for streams of a layer to the next; the
factor, from activations rather than weights, is that of Xiao et al., SmoothQuant (ICML 2023), with
alpha 1/2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from netspec.layers import Layer, LayerKind, walk
from search_client.data.batches import Batch
from search_client.networks.layers import ConvLayer, FloatNetwork, OperatorModule, WeightedModule

#: kinds that give each channel times a factor where they are given it
_HOMOGENEOUS: frozenset[LayerKind] = frozenset(
    ("mean", "global_average", "global_max", "average_pool", "max_pool", "relu", "pad", "add")
)
#: factors are kept between this and its inverse: no channel is worth more
_MOST = 1e4


@dataclass
class _Stream:
    """What flows between weighted layers without being bent."""

    #: False where something else reads or makes it
    free: bool
    makers: list[WeightedModule] = field(default_factory=list)
    readers: list[WeightedModule] = field(default_factory=list)
    #: modules whose outputs are the stream's
    modules: list[nn.Module] = field(default_factory=list)
    #: another one, which this is a part of
    whole: _Stream | None = None

    def joined(self) -> _Stream:
        """The stream that this is a part of, or itself."""
        return self if self.whole is None else self.whole.joined()

    def join(self, other: _Stream) -> None:
        """Take another one into this."""
        other, own = other.joined(), self.joined()
        if other is own:
            return
        own.free &= other.free
        own.makers += other.makers
        own.readers += other.readers
        own.modules += other.modules
        other.whole = own


@torch.no_grad()
def equalised(model: FloatNetwork, batches: Iterable[Batch]) -> FloatNetwork:
    """Return the same network, up to float rounding, with channels of streams of a like range.

    Args:
        model: trained, in evaluation mode afterwards; stays as it is.
        batches: images as they will be seen.
    """
    made = copy.deepcopy(model).eval()
    streams = [one for one in _streams(made) if one.free and one.makers and one.readers]
    greatest = _greatest(made, streams, batches)
    for stream, activations in zip(streams, greatest, strict=True):
        _equalise(stream, activations)
    return made


def _streams(model: FloatNetwork) -> list[_Stream]:
    """All streams of a network, in order; the image and the logits are not free."""
    found: list[_Stream] = []
    flowing = _Stream(free=False)
    for module in model.operators:
        operator = cast("OperatorModule", module)

        def visit(
            layer: Layer, sources: list[_Stream], operator: OperatorModule = operator
        ) -> _Stream:
            stream = _after(layer, operator.chain[layer.name], sources)
            found.append(stream)
            return stream

        flowing = walk(operator.graph, flowing, visit)
    flowing.joined().free = False
    return list({id(one.joined()): one.joined() for one in found}.values())


def _after(layer: Layer, module: nn.Module, sources: list[_Stream]) -> _Stream:
    """The stream that a layer's output is of."""
    bends = layer.activation not in (None, "relu")
    if layer.has_weights:
        weighted = cast("WeightedModule", module)
        sources[0].joined().readers.append(weighted)
        if layer.groups > 1 and layer.kind != "depthwise":
            sources[0].joined().free = False
        return _Stream(free=not bends, makers=[weighted], modules=[module])
    if layer.kind not in _HOMOGENEOUS:
        for source in sources:
            source.joined().free = False
        return _Stream(free=False)
    for source in sources[1:]:
        sources[0].join(source)
    stream = sources[0].joined()
    stream.modules.append(module)
    stream.free &= not bends
    return stream


def _greatest(
    model: FloatNetwork, streams: list[_Stream], batches: Iterable[Batch]
) -> list[Tensor]:
    """The greatest magnitude of each channel in all of a stream, a tensor [C] a stream."""
    found: list[Tensor | None] = [None] * len(streams)

    def watch(index: int, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _given: object, output: Tensor) -> None:
            magnitudes = output.abs().transpose(0, 1).flatten(1).amax(1)
            before = found[index]
            found[index] = magnitudes if before is None else torch.maximum(before, magnitudes)

        return module.register_forward_hook(hook)

    handles = [watch(index, one) for index, made in enumerate(streams) for one in made.modules]
    device = next(model.parameters()).device
    try:
        for images, _ in batches:
            model(images.to(device))
    finally:
        for handle in handles:
            handle.remove()
    return [cast("Tensor", one) for one in found]


def _equalise(stream: _Stream, activations: Tensor) -> None:
    weights = torch.stack([_by_input(one) for one in stream.readers]).amax(0)
    used = (activations > 0) & (weights > 0)
    if not used.any():
        return
    factors = torch.where(used, (activations / weights.clamp_min(1e-30)).sqrt(), 1.0)
    # A factor for all channels would change nothing; so the middle one stays as it is.
    factors = torch.where(used, factors / factors[used].median(), 1.0).clamp(1 / _MOST, _MOST)
    for maker in stream.makers:
        _divide_outputs(maker, factors)
    for reader in stream.readers:
        reader.weight.mul_(_shaped(reader, factors))


def _by_input(reader: WeightedModule) -> Tensor:
    """The greatest magnitude [C] of the folded weights that read each channel."""
    weight = reader.folded()[0].abs().float()
    if reader.layer.kind == "depthwise":
        return weight.flatten(1).amax(1)
    return weight.transpose(0, 1).flatten(1).amax(1)


def _shaped(reader: WeightedModule, factors: Tensor) -> Tensor:
    """Factors [C] as they are multiplied with a weight [O, I, ...]."""
    depthwise = reader.layer.kind == "depthwise"
    shape = [-1, 1] if depthwise else [1, -1]
    return factors.reshape(*shape, *[1] * (reader.weight.ndim - 2))


def _divide_outputs(maker: WeightedModule, factors: Tensor) -> None:
    if isinstance(maker, ConvLayer):
        maker.norm.weight.div_(factors)
        maker.norm.bias.div_(factors)
        return
    maker.weight.div_(factors.reshape(-1, *[1] * (maker.weight.ndim - 1)))
    maker.bias.div_(factors)
