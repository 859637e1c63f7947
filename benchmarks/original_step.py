"""The released code's architecture step, `two`, in as few lines as its arithmetic takes.

Source: ProxylessNAS, github.com/mit-han-lab/proxylessnas, `MixedEdge` and `gradient_step`: both
drawn candidates run with a graph, the output of the one whose gate is 0 is detached, and the
backward pass gives the weights gradients that nobody uses. Our own modules, channels_last: what
differs is the step alone.
"""

from __future__ import annotations

from typing import cast

import torch
from torch.nn import functional
from torch.optim import Adam

from search_client.data.batches import Batch
from search_client.networks.layers import channels_last
from search_client.supernet.binary_gates import (
    alpha_gradients,
    draw,
    keep_other_probabilities,
)
from search_client.supernet.supernet import Supernet


def two_step(supernet: Supernet, batch: Batch, adam: Adam, generator: torch.Generator) -> None:
    """One step of alpha by the cross-entropy of a batch.

    Args:
        supernet: in train mode, with weights of its own for every candidate.
        batch: images [N, 3, H, W] and labels [N].
        adam: of alpha.
        generator: draws the two candidates of every block.
    """
    images, labels = batch
    drawn = draw(supernet, "two", generator)
    before = supernet.alpha.detach().clone()
    gates = torch.zeros_like(supernet.alpha)
    gates[torch.arange(len(drawn.path)), torch.tensor(drawn.path)] = 1.0
    gates.requires_grad_()
    x = channels_last(images)
    for operator in supernet.start:
        x = operator(x)
    for block, active in enumerate(drawn.path):
        output = gates[block, active] * supernet.choose(block, active, x)
        for choice in cast("list[int]", drawn.involved[block].nonzero().flatten().tolist()):
            if choice != active:
                output = output + gates[block, choice] * supernet.choose(block, choice, x).detach()
        x = output
    for operator in supernet.end:
        x = operator(x)
    supernet.zero_grad()
    functional.cross_entropy(x, labels).backward()  # type: ignore[no-untyped-call]
    assert gates.grad is not None  # noqa: S101 - every gate is in the graph
    supernet.alpha.grad = alpha_gradients(gates.grad, supernet.alpha, drawn.involved)
    adam.step()
    with torch.no_grad():
        keep_other_probabilities(supernet.alpha, before, drawn.involved)
