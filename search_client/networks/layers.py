"""Torch modules of operators and networks, built from the layers that the encoder writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec.layers import (
    INPUT,
    Float32Array,
    Layer,
    LayerWeights,
    layer_name,
    same_padding,
    walk,
)
from netspec.networks import Network
from netspec.operators import Operator
from search_client.networks.normalisation import Renormalise
from search_client.networks.weightless import activate, weightless

#: Source: ProxylessNAS, its released training code.
NORM_EPS = 1e-3
NORM_MOMENTUM = 0.1

#: axes of a torch weight in the order of `Layer.weight_shape`
_TFLITE_AXES = {"conv": (0, 2, 3, 1), "depthwise": (1, 2, 3, 0), "dense": (0, 1)}


def channels_last(x: Tensor) -> Tensor:
    """The same [N, C, H, W] laid out NHWC, in which convolutions train up to twice as fast."""
    return x.contiguous(memory_format=torch.channels_last)


def to_tflite_layout(layer: Layer, weight: Tensor) -> Float32Array:
    """A torch weight as float32 in `Layer.weight_shape`."""
    permuted = weight.detach().cpu().permute(_TFLITE_AXES[layer.kind])
    return np.ascontiguousarray(permuted.numpy(), dtype=np.float32)


def to_torch_layout(layer: Layer, weight: Float32Array) -> Tensor:
    """A float32 weight in `Layer.weight_shape` as torch wants it: OIHW, or OI when dense."""
    axes = _TFLITE_AXES[layer.kind]
    inverse = [axes.index(axis) for axis in range(len(axes))]
    return torch.from_numpy(weight.copy()).permute(inverse).contiguous()


def convolve(x: Tensor, layer: Layer, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution of `x` [N, C, H, H] as its layer pads it, without its activation."""
    before, after = layer.padding or same_padding(x.shape[-1], layer.kernel, layer.stride)
    if before != after:
        x = functional.pad(x, (before, after, before, after))
    padding = before if before == after else 0
    if layer.kind != "depthwise":
        return functional.conv2d(x, weight, bias, layer.stride, padding, groups=layer.groups)
    groups, half = layer.out_channels, torch.is_autocast_enabled(x.device.type)
    if not half or x.device.type != "cpu":
        return functional.conv2d(x, weight, bias, layer.stride, padding, groups=groups)
    # oneDNN's gradients of these are written for float32: in bfloat16, with a stride or a kernel
    # of 5 px, they take up to 25 times as long.
    with torch.autocast("cpu", enabled=False):
        y = functional.conv2d(x.float(), weight, bias, layer.stride, padding, groups=groups)
    return y.to(torch.get_autocast_dtype("cpu"))


def _fresh_weight(layer: Layer) -> nn.Parameter:
    inputs = 1 if layer.kind == "depthwise" else layer.in_channels // layer.groups
    weight = nn.Parameter(torch.empty(layer.out_channels, inputs, layer.kernel, layer.kernel))
    nn.init.kaiming_normal_(weight, mode="fan_out")
    return weight


class ConvLayer(nn.Module):
    """Convolution, BatchNorm, activation: [N, C, H, H] to [N, C', H', H']."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.weight = _fresh_weight(layer)
        self.norm = nn.BatchNorm2d(layer.out_channels, eps=NORM_EPS, momentum=NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """The activated output."""
        y = self.norm(convolve(x, self.layer, self.weight))
        # With a graph, in place means a copy for the gradient.
        return activate(y, self.layer.activation, inplace=not torch.is_grad_enabled())

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [O, I, k, k] and bias [O], float64, with the running statistics folded in."""
        norm = self.norm
        mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
        gain = norm.weight.detach().double() / torch.sqrt(variance.double() + norm.eps)
        weight = self.weight.detach().double() * gain.reshape(-1, 1, 1, 1)
        return weight, norm.bias.detach().double() - mean.double() * gain


class BiasedConv(nn.Module):
    """Convolution with a bias in place of BatchNorm: [N, C, H, H] to [N, C', H', H']."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.weight = _fresh_weight(layer)
        self.bias = nn.Parameter(torch.zeros(layer.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """The activated output."""
        return activate(convolve(x, self.layer, self.weight, self.bias), self.layer.activation)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [O, I, k, k] and bias [O]."""
        return self.weight, self.bias


class DenseLayer(nn.Linear):
    """Fully connected layer with dropout before it: [N, C] to [N, C']."""

    def __init__(self, layer: Layer, dropout: float) -> None:
        super().__init__(layer.in_channels, layer.out_channels)
        self.layer = layer
        self.dropout = dropout
        #: row whose weights row 0, a background class, shares; None where there is no such class
        self.background: int | None = None
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The activated output."""
        y = super().forward(functional.dropout(x, self.dropout, self.training))
        return activate(y, self.layer.activation)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [O, I] and bias [O]."""
        return self.weight, self.bias


WeightedModule = ConvLayer | BiasedConv | DenseLayer


class WeightlessLayer(nn.Module):
    """A layer without weights, with its activation."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Tensor) -> Tensor:
        """The activated output."""
        return activate(weightless(self.layer, inputs), self.layer.activation)


def _module(layer: Layer, dropout: float) -> WeightedModule | WeightlessLayer:
    if not layer.has_weights:
        return WeightlessLayer(layer)
    if layer.kind == "dense":
        return DenseLayer(layer, dropout)
    return ConvLayer(layer) if layer.normalised else BiasedConv(layer)


def residual_branches(operator: Operator) -> set[str]:
    """Names of the layers whose output the operator's input is added to."""
    sums = (one for one in operator.layers if one.kind == "add" and INPUT in one.inputs)
    return {name for layer in sums for name in layer.inputs} - {INPUT}


class OperatorModule(nn.Module):
    """One operator; the children of `chain` bear the names of its layers.

    A residual operator begins as the identity: the gain of its last BatchNorm is 0.
    Source: Goyal et al., Accurate, Large Minibatch SGD (2017), section 5.1.
    """

    def __init__(self, operator: Operator, dropout: float = 0.0) -> None:
        super().__init__()
        self.graph = operator.layers
        self.chain = nn.ModuleDict({layer.name: _module(layer, dropout) for layer in self.graph})
        for name in residual_branches(operator):
            branch = self.chain[name]
            if isinstance(branch, ConvLayer):
                nn.init.zeros_(branch.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The operator's output for `x` [N, C, H, W]."""
        return walk(self.graph, x, self._layer)

    def _layer(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        return cast("Tensor", self.chain[layer.name](*inputs))


class FloatNetwork(nn.Module):
    """A network to train: normalised images [N, 3, H, W] to logits [N, classes].

    Weights are drawn from torch's global generator. `dropout` is the probability
    of dropping a pooled feature. `renormalise` is for weights that were trained on images
    normalised in another way than those that are given.
    """

    def __init__(
        self, network: Network, dropout: float = 0.0, renormalise: Renormalise | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.renormalise = renormalise
        self.operators = nn.ModuleList(
            OperatorModule(operator, dropout) for operator in network.operators
        )

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = channels_last(x if self.renormalise is None else self.renormalise(x))
        for operator in self.operators:
            x = operator(x)
        return x


def norm_eps(model: nn.Module) -> dict[str, float]:
    """What each BatchNorm adds to its variances, by its name: no part of a state."""
    norms = (
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    )
    return {name: norm.eps for name, norm in norms}


def set_norm_eps(model: nn.Module, eps: Mapping[str, float]) -> None:
    """Give BatchNorms, by their names, what they add to their variances; others keep theirs."""
    for name, value in eps.items():
        cast("nn.BatchNorm2d", model.get_submodule(name)).eps = value


def folded_parameters(model: FloatNetwork) -> dict[str, LayerWeights]:
    """The network's weights by layer name, BatchNorm's running statistics folded in."""
    parameters: dict[str, LayerWeights] = {}
    for index, module in enumerate(model.operators):
        operator = cast("OperatorModule", module)
        for layer in operator.graph:
            if layer.has_weights:
                weight, bias = cast("WeightedModule", operator.chain[layer.name]).folded()
                parameters[layer_name(index, layer)] = LayerWeights(
                    weight=to_tflite_layout(layer, weight),
                    bias=bias.detach().cpu().numpy().astype(np.float32),
                )
    return parameters
