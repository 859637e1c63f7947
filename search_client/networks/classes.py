"""Changing the classes of a trained network: 1000 -> 1001 with a background, and 1001 -> N.

8-bit models of 1,001 classes have a background in front. Source of its weights: the 8-bit part of
the ProxylessNAS paper: the bias is the least of the original biases, the weight that of a
randomly chosen other class, so that the background is never predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from netspec.errors import UserError
from netspec.networks import Network
from search_client.networks.layers import DenseLayer, FloatNetwork, norm_eps, set_norm_eps

BACKGROUND = "background"
#: what a background's logit is below that of the class whose weights it shares, at least: far more
#: than float arithmetic loses, in float16 files too
LEAST_GAP = 1 / 64
#: standard deviation of the weights of a class that is new, as of an untrained classifier
NEW_STD = 0.01


class BadClasses(UserError):
    """Classes that a network cannot be given."""


def with_background(
    model: FloatNetwork, classes: Sequence[str], seed: int
) -> tuple[FloatNetwork, tuple[str, ...]]:
    """A network with one more class, `BACKGROUND`, in front: 1000 -> 1001.

    Its logit is that of the chosen class less a constant of at least `LEAST_GAP`, so the chosen
    class is always ahead. The class is drawn among those whose own bias is above the minimum: with
    the minimum itself the two would tie. Finetuning keeps both tied together, see
    `quantization.background`.

    Args:
        model: trained; stays as it is.
        classes: its labels, in order.
        seed: decides whose weight the background gets.

    Raises:
        BadClasses: there is a background already, or all biases are the same.
    """
    if BACKGROUND in classes:
        raise BadClasses(f"the network already has a class {BACKGROUND!r}; nothing was changed")
    dense = classifier_of(model)
    weight, bias = dense.weight.detach(), dense.bias.detach()
    eligible = torch.nonzero(bias > bias.min()).flatten()
    if not len(eligible):
        raise BadClasses(
            "all classes have the same bias, so a background would tie with them; "
            "train the network first"
        )
    generator = torch.Generator().manual_seed(seed)
    chosen = eligible[torch.randint(len(eligible), (), generator=generator)]
    lowest = torch.minimum(bias.min(), bias[chosen] - LEAST_GAP)
    grown = _with_classifier(
        model,
        torch.cat([weight[chosen][None], weight]),
        torch.cat([lowest[None], bias]),
    )
    classifier_of(grown).background = int(chosen) + 1
    return grown, (BACKGROUND, *classes)


def with_classes(
    model: FloatNetwork, classes: Sequence[str], new_classes: Sequence[str], seed: int
) -> FloatNetwork:
    """A network for other classes, 1001 -> N: those it knows are kept, others start untrained.

    Args:
        model: trained; stays as it is.
        classes: its labels, in order.
        new_classes: the new labels, in order.
        seed: of the weights of classes that are new.

    Raises:
        BadClasses: fewer than two classes are wanted, or one of them twice.
    """
    if len(new_classes) < 2 or len(set(new_classes)) < len(new_classes):  # noqa: PLR2004 - nothing to tell apart
        raise BadClasses(
            f"{len(new_classes)} classes with {len(set(new_classes))} different names are wanted; "
            "expected 2 or more, each once"
        )
    dense = classifier_of(model)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(len(new_classes), dense.in_features, generator=generator) * NEW_STD
    bias = torch.zeros(len(new_classes))
    known = {name: index for index, name in enumerate(classes)}
    for row, name in enumerate(new_classes):
        if name in known:
            weight[row] = dense.weight.detach()[known[name]]
            bias[row] = dense.bias.detach()[known[name]]
    return _with_classifier(model, weight, bias)


def classifier_of(model: FloatNetwork) -> DenseLayer:
    """The fully connected layer at the end of a network."""
    return cast("DenseLayer", model.get_submodule(_dense_path(model.network)))


def _dense_path(network: Network) -> str:
    operators = network.operators
    return f"operators.{len(operators) - 1}.chain.{operators[-1].layers[-1].name}"


def _with_classifier(model: FloatNetwork, weight: Tensor, bias: Tensor) -> FloatNetwork:
    network = model.network
    last = network.operators[-1]
    replaced = type(last)(**{**last.model_dump(), "out_channels": len(bias)})
    changed = Network(name=network.name, operators=(*network.operators[:-1], replaced))
    result = FloatNetwork(changed, classifier_of(model).dropout, model.renormalise)
    state = model.state_dict()
    dense = _dense_path(network)
    state |= {f"{dense}.weight": weight, f"{dense}.bias": bias}
    result.load_state_dict(state)
    set_norm_eps(result, norm_eps(model))
    return result.train(model.training)
