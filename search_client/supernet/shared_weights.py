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

from netspec.errors import UserError
from netspec.layers import Layer, walk
from netspec.operators import Operator
from netspec.spaces import Space
from search_client.networks.layers import (
    NORM_EPS,
    BiasedConv,
    ConvLayer,
    DenseLayer,
    OperatorModule,
    convolve,
    residual_branches,
)
from search_client.networks.weightless import activate, weightless


class CannotShare(UserError):
    """Candidates of a block of which one cannot be a slice of what all of them are slices of."""


class _LargestConv(nn.Module):
    """Weight and BatchNorm of one convolution at its largest; statistics are the batch's.

    Where no BatchNorm follows, there is the bias alone.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        inputs = max(1 if one.kind == "depthwise" else one.in_channels for one in layers)
        outputs, kernel = max(one.out_channels for one in layers), max(one.kernel for one in layers)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.gain = nn.Parameter(torch.ones(outputs)) if layers[0].normalised else None
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
        weight, bias = self.kernel(layer), self.bias[: layer.out_channels]
        if self.gain is None:
            return activate(convolve(x, layer, weight, bias), layer.activation)
        y, gain = convolve(x, layer, weight), self.gain[: layer.out_channels]
        y = functional.batch_norm(y, None, None, gain, bias, training=True, eps=NORM_EPS)
        return activate(y, layer.activation)

    @torch.no_grad()
    def copy_to(self, module: nn.Module, layer: Layer) -> None:
        """Give a layer of a network of its own this slice."""
        target = cast("ConvLayer | BiasedConv", module)
        target.weight.copy_(self.kernel(layer))
        bias = self.bias[: layer.out_channels]
        if isinstance(target, BiasedConv):
            target.bias.copy_(bias)
        else:
            target.norm.weight.copy_(cast("Tensor", self.gain)[: layer.out_channels])
            target.norm.bias.copy_(bias)


class _LargestDense(nn.Module):
    """A fully connected layer of the widest network."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        widest = max(layers, key=lambda one: one.in_channels)
        self.largest = DenseLayer(widest, dropout=0.0)

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """The logits from the first channels."""
        return activate(functional.linear(x, *self._slice(layer)), layer.activation)

    def _slice(self, layer: Layer) -> tuple[Tensor, Tensor]:
        outputs, inputs = layer.out_channels, layer.in_channels
        return self.largest.weight[:outputs, :inputs], self.largest.bias[:outputs]

    @torch.no_grad()
    def copy_to(self, module: nn.Module, layer: Layer) -> None:
        """Give a layer of a network of its own this slice."""
        target = cast("DenseLayer", module)
        weight, bias = self._slice(layer)
        target.weight.copy_(weight)
        target.bias.copy_(bias)


class LargestOperator(nn.Module):
    """What all operators at one position of a space are slices of."""

    def __init__(self, operators: Iterable[Operator]) -> None:
        """Draws weights from torch's global generator; layers of one name are of one kind.

        Raises:
            CannotShare: slices of a layer would be no layers of its kind.
        """
        super().__init__()
        layers: dict[str, list[Layer]] = {}
        first: dict[str, Operator] = {}
        residual: list[set[str]] = []
        for operator in operators:
            residual.append(residual_branches(operator))
            for layer in operator.layers:
                if layer.has_weights:
                    known = layers.setdefault(layer.name, [])
                    _require_alike(known, first.setdefault(layer.name, operator), layer, operator)
                    known.append(layer)
        self.layers = nn.ModuleDict()
        for name, alike in layers.items():
            largest = _LargestDense if alike[0].kind == "dense" else _LargestConv
            self.layers[name] = largest(alike)
        for name in set.intersection(*residual):
            branch = dict(self.layers.items()).get(name)
            if isinstance(branch, _LargestConv) and branch.gain is not None:
                # As in `OperatorModule`: begins as the identity.
                nn.init.zeros_(branch.gain)


def _require_alike(
    known: Sequence[Layer], first: Operator, layer: Layer, operator: Operator
) -> None:
    """Refuse a layer that is no slice of what layers of its name are slices of.

    Args:
        known: layers of its name, the first one of `first`.
        first: the operator that has had such a layer before.
        layer: of `operator`.
        operator: one more candidate.

    Raises:
        CannotShare: it is of another form, or in groups, whose slices are no groups.
    """
    if layer.groups > 1:
        raise CannotShare(
            f"{operator.key} cannot share its weights: its layer {layer.name} is a convolution in "
            'groups; search with search.weights = "separate", or leave it out of the space'
        )
    form = (layer.kind, layer.normalised)
    if known and form != (known[0].kind, known[0].normalised):
        raise CannotShare(
            f"{operator.key} cannot share its weights with {first.key}: the layer {layer.name} is "
            f"{_form(layer)} in one and {_form(known[0])} in the other; search with "
            'search.weights = "separate", or choose among operators of like layers'
        )


def _form(layer: Layer) -> str:
    return layer.kind if layer.normalised else f"{layer.kind} without BatchNorm"


class SlicedOperator(nn.Module):
    """One operator of a space whose weights are slices of its position's largest operator."""

    def __init__(self, operator: Operator, largest: LargestOperator) -> None:
        super().__init__()
        self.graph = operator.layers
        # In a tuple, so that the parameters are not registered once for every candidate.
        self._largest = (largest,)

    def forward(self, x: Tensor) -> Tensor:
        """The operator's output for `x` [N, C, H, W], normalised by the batch."""
        return walk(self.graph, x, self._layer)

    def _layer(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        if layer.has_weights:
            return cast("Tensor", self._largest[0].layers[layer.name](inputs[0], layer))
        return activate(weightless(layer, inputs), layer.activation)

    def copy_to(self, module: OperatorModule) -> None:
        """Give an operator of a network of its own this slice's weights."""
        for layer in self.graph:
            if layer.has_weights:
                source = self._largest[0].layers[layer.name]
                target = module.chain[layer.name]
                cast("_LargestConv | _LargestDense", source).copy_to(target, layer)


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
