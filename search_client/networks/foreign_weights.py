"""Weights that another program trained, in a network of the same layers: each tensor has its place.

What no tensor says depends on the program: BatchNorm's epsilon, where zeros go around an image, and
how images are normalised. A `Convention` names the three.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from netspec.layers import PaddingRule, layer_name
from netspec.networks import Network
from search_client.networks.layers import (
    ConvLayer,
    FloatNetwork,
    OperatorModule,
    WeightedModule,
)
from search_client.networks.naming import TIMM, ForeignLayer, layers_in_order, scheme_of
from search_client.networks.normalisation import INCEPTION, Normalisation, Renormalise
from search_client.networks.state_dicts import BadWeights, StateDict

Program = Literal["timm", "timm-tf", "proxylessnas"]


@dataclass(frozen=True)
class Convention:
    """What a program's weights were trained with."""

    #: BatchNorm adds it to its variances
    eps: float
    padding: PaddingRule
    #: of images; None: the usual one, ImageNet's mean and deviation
    normalisation: Normalisation | None = None


#: Source: timm's defaults; its `tf_` variants (`BN_EPS_TF_DEFAULT`, `pad_type='same'`, Inception's
#: mean); the `bn` of ProxylessNAS's released `net.config` files.
CONVENTIONS: dict[Program, Convention] = {
    "timm": Convention(1e-5, "symmetric"),
    "timm-tf": Convention(1e-3, "same", INCEPTION),
    "proxylessnas": Convention(1e-3, "symmetric"),
}


def program_of(tensors: StateDict) -> Program:
    """The program that names weights so; a variant of it must be asked for.

    Raises:
        BadWeights: it is none that is known.
    """
    return "timm" if scheme_of(tensors) is TIMM else "proxylessnas"


def classes_of(tensors: StateDict) -> int:
    """Classes that weights tell apart.

    Raises:
        BadWeights: they are no network's whose names are known.
    """
    return len(layers_in_order(tensors)[-1].weight)


def float_network(
    network: Network, tensors: StateDict, convention: Convention, usual: Normalisation
) -> FloatNetwork:
    """A network with the weights of another program, in evaluation mode.

    Args:
        network: of the same layers; its padding becomes the convention's.
        tensors: by the program's names.
        convention: what they were trained with.
        usual: how the images are normalised that the network will be given.

    Raises:
        BadWeights: a tensor is missing, one too many, or of another shape; the message names it
            and what fits.
    """
    wanted = convention.normalisation
    renormalise = None if wanted in (None, usual) else Renormalise(usual, wanted)
    model = FloatNetwork(network.with_padding(convention.padding), renormalise=renormalise)
    ours, foreign = dict(_weighted(model)), layers_in_order(tensors)
    # The first shape that differs tells more than that the numbers of layers do.
    for (name, module), layer in zip(ours.items(), foreign, strict=False):
        _fill(module, layer, f"layer {name} of {network.name}", convention.eps)
    _check_count(network, list(ours), foreign)
    return model.eval()


def _weighted(model: FloatNetwork) -> Iterator[tuple[str, WeightedModule]]:
    """Return the layers with weights in order of execution, with their names in the network."""
    for index, operator in enumerate(model.operators):
        held = cast("OperatorModule", operator)
        for layer in held.graph:
            if layer.has_weights:
                yield layer_name(index, layer), cast("WeightedModule", held.chain[layer.name])


def _check_count(network: Network, ours: Sequence[str], foreign: Sequence[ForeignLayer]) -> None:
    if len(ours) == len(foreign):
        return
    what = (
        f"there are none for layer {ours[len(foreign)]}"
        if len(foreign) < len(ours)
        else f"{foreign[len(ours)].name} has no layer to go to"
    )
    raise BadWeights(
        f"the file has weights for {len(foreign)} layers, {network.name} has {len(ours)}: {what}; "
        "name the network that they are of"
    )


@torch.no_grad()
def _fill(module: WeightedModule, layer: ForeignLayer, place: str, eps: float) -> None:
    """Give one layer its numbers, with BatchNorm where it has one and folded where it has none."""
    fit = _Fitting(layer, place)
    channels = module.weight.shape[:1]
    weight = fit("weight", layer.weight, module.weight.shape)
    bias = torch.zeros(channels) if layer.bias is None else fit("bias", layer.bias, channels)
    norm = {name: fit(f"BatchNorm {name}", value, channels) for name, value in layer.norm.items()}
    if isinstance(module, ConvLayer):
        if not norm and layer.bias is None:
            raise BadWeights(
                f"{layer.name} has neither BatchNorm nor bias among the weights, but {place} has "
                "BatchNorm; give the whole state dict"
            )
        module.norm.eps = eps
        # Without BatchNorm there, one here that adds the bias alone.
        norm = norm or {
            "weight": torch.ones(channels),
            "bias": bias,
            "running_mean": bias.clone(),
            "running_var": torch.full(channels, 1 - eps),
        }
        norm["running_mean"] = norm["running_mean"] - bias
        for name, value in norm.items():
            cast("Tensor", getattr(module.norm, name)).copy_(value)
    elif norm:
        gain = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
        bias = norm["bias"] + (bias - norm["running_mean"]) * gain
        weight = weight * gain.reshape(-1, *[1] * (weight.ndim - 1))
    module.weight.copy_(weight)
    if not isinstance(module, ConvLayer):
        module.bias.copy_(bias)


@dataclass(frozen=True)
class _Fitting:
    """Takes the tensors of one layer where they fit."""

    layer: ForeignLayer
    #: where they go, for messages
    place: str

    def __call__(self, name: str, tensor: Tensor, shape: Sequence[int]) -> Tensor:
        """A tensor in double precision, of the shape that is wanted."""
        # A fully connected layer is a convolution of an image of 1x1 px.
        pixel = math.prod(shape) == math.prod(shape[:2]) == math.prod(tensor.shape[:2])
        if tuple(tensor.shape) != tuple(shape) and not (
            pixel and tensor.numel() == math.prod(shape) and tensor.shape[:2] == shape[:2]
        ):
            raise BadWeights(
                f"{self.layer.name} has a {name} of shape {tuple(tensor.shape)}, but {self.place} "
                f"takes {tuple(shape)}; name the network that the weights are of"
            )
        if not torch.isfinite(tensor).all():
            raise BadWeights(
                f"{self.layer.name} has a {name} with numbers that are not finite; give weights of "
                "a training that did not diverge"
            )
        return tensor.double().reshape(tuple(shape))
