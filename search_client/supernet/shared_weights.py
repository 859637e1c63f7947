"""Shared weights: the candidates of a block, at every width, are slices of one largest operator.

A smaller kernel is the centre of the largest one, fewer channels are the first of the largest
middle, input or output. So one step trains all candidates at once, and what a channel means
does not depend on the choice. Source: Once-for-all (ICLR 2020), BigNAS (ECCV 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec.layers import Layer, layers_of
from netspec.operators import Operator
from netspec.spaces import Space
from search_client.networks.layers import (
    NORM_EPS,
    ConvLayer,
    DenseLayer,
    OperatorModule,
    activate,
    convolve,
)


class _LargestConv(nn.Module):
    """Weight and BatchNorm of one convolution at its largest; statistics are the batch's."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        inputs = max(1 if one.kind == "depthwise" else one.in_channels for one in layers)
        outputs, kernel = max(one.out_channels for one in layers), max(one.kernel for one in layers)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.gain = nn.Parameter(torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")

    def kernel(self, layer: Layer) -> Tensor:
        """The layer's weight: the centre of the first channels."""
        margin = (self.weight.shape[-1] - layer.kernel) // 2
        window = slice(margin, margin + layer.kernel)
        inputs = 1 if layer.kind == "depthwise" else layer.in_channels
        return self.weight[: layer.out_channels, :inputs, window, window]

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """The activated output [N, out_channels, H', W'] of one slice."""
        gain, bias = self.gain[: layer.out_channels], self.bias[: layer.out_channels]
        y = convolve(x, layer, self.kernel(layer))
        y = functional.batch_norm(y, None, None, gain, bias, training=True, eps=NORM_EPS)
        return activate(y, layer.activation)

    @torch.no_grad()
    def copy_to(self, module: nn.Module, layer: Layer) -> None:
        """Give a layer of a network of its own this slice."""
        target = cast("ConvLayer", module)
        target.weight.copy_(self.kernel(layer))
        target.norm.weight.copy_(self.gain[: layer.out_channels])
        target.norm.bias.copy_(self.bias[: layer.out_channels])


class _LargestDense(nn.Module):
    """A fully connected layer of the widest network."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        widest = max(layers, key=lambda one: one.in_channels)
        self.largest = DenseLayer(widest, dropout=0.0)

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """The logits from the first channels."""
        weight = self.largest.weight[:, : layer.in_channels]
        return functional.linear(x, weight, self.largest.bias)

    @torch.no_grad()
    def copy_to(self, module: nn.Module, layer: Layer) -> None:
        """Give a layer of a network of its own this slice."""
        target = cast("DenseLayer", module)
        target.weight.copy_(self.largest.weight[:, : layer.in_channels])
        target.bias.copy_(self.largest.bias)


class LargestOperator(nn.Module):
    """What all operators at one position of a space are slices of."""

    def __init__(self, operators: Iterable[Operator]) -> None:
        """Draws weights from torch's global generator; all operators are of one kind."""
        super().__init__()
        layers: dict[str, list[Layer]] = {}
        residual = True
        for operator in operators:
            own = layers_of(operator)
            residual = residual and any(layer.kind == "add" for layer in own)
            for layer in own:
                layers.setdefault(layer.name, []).append(layer)
        self.layers = nn.ModuleDict()
        for name, alike in layers.items():
            if alike[0].kind in ("conv", "depthwise"):
                self.layers[name] = _LargestConv(alike)
            elif alike[0].kind == "dense":
                self.layers[name] = _LargestDense(alike)
        if residual:
            # As in `OperatorModule`: begins as the identity.
            nn.init.zeros_(cast("_LargestConv", list(self.layers.values())[-1]).gain)


class SlicedOperator(nn.Module):
    """One operator of a space whose weights are slices of its position's largest operator."""

    def __init__(self, operator: Operator, largest: LargestOperator) -> None:
        super().__init__()
        self.layers = layers_of(operator)
        self.residual = any(layer.kind == "add" for layer in self.layers)
        # In a tuple, so that the parameters are not registered once for every candidate.
        self._largest = (largest,)

    def forward(self, x: Tensor) -> Tensor:
        """The operator's output for `x` [N, C, H, W], normalised by the batch."""
        y = x
        for layer in self.layers:
            if layer.kind == "mean":
                y = y.mean((2, 3))
            elif layer.kind != "add":
                y = self._largest[0].layers[layer.name](y, layer)
        return x + y if self.residual else y

    def copy_to(self, module: OperatorModule) -> None:
        """Give an operator of a network of its own this slice's weights."""
        for layer in self.layers:
            if layer.has_weights:
                source = self._largest[0].layers[layer.name]
                cast("_LargestConv | _LargestDense", source).copy_to(
                    module.chain.get_submodule(layer.name), layer
                )


class SharedWeights(nn.Module):
    """The largest operator of every position of a space, over all its sizes and widths."""

    def __init__(self, spaces: Sequence[Space]) -> None:
        """Draws weights from torch's global generator.

        Args:
            spaces: of one structure, at every size and width.
        """
        super().__init__()
        self.start = _largest([space.fixed_start for space in spaces])
        self.blocks = _largest(
            [[block.candidates for block in space.blocks] for space in spaces], several=True
        )
        self.end = _largest([space.fixed_end for space in spaces])

    def slices(self, space: Space) -> tuple[nn.ModuleList, nn.ModuleList, nn.ModuleList]:
        """Modules of a space's fixed start, its candidates by block, and its fixed end."""

        def sliced(operators: Iterable[Operator], positions: nn.ModuleList) -> nn.ModuleList:
            pairs = zip(operators, positions, strict=True)
            return nn.ModuleList(
                SlicedOperator(operator, cast("LargestOperator", largest))
                for operator, largest in pairs
            )

        blocks = nn.ModuleList(
            nn.ModuleList(
                SlicedOperator(candidate, cast("LargestOperator", largest))
                for candidate in block.candidates
            )
            for block, largest in zip(space.blocks, self.blocks, strict=True)
        )
        return sliced(space.fixed_start, self.start), blocks, sliced(space.fixed_end, self.end)


def _largest(rows: Sequence[Sequence[object]], *, several: bool = False) -> nn.ModuleList:
    """One largest operator a position; rows are spaces, columns positions."""
    modules = nn.ModuleList()
    for position in zip(*rows, strict=True):
        if several:
            alike = [operator for one in position for operator in cast("Iterable[Operator]", one)]
        else:
            alike = list(cast("Sequence[Operator]", position))
        modules.append(LargestOperator(alike))
    return modules
