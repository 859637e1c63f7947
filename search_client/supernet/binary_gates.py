"""Binary gates: which path runs, and the gradient of the architecture parameters through it.

Source: ProxylessNAS (ICLR 2019), section 3.2, and its released code; `two` is the paper's way,
`full_v2` the code's default: every choice of a block is compared at the price of its forward
pass. `reinforce` is the paper's section 3.3.2: no gradient passes through the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from search_client.supernet.supernet import Supernet

Gradient = Literal["two", "full_v2", "reinforce"]


@dataclass(frozen=True)
class Draw:
    """What one architecture step runs."""

    #: the choice of each block whose gate is 1
    path: list[int]
    #: bool [blocks, most choices]: the choices whose alpha the step changes
    involved: Tensor


def sample_choices(logits: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Choices [blocks, count] drawn without replacement from softmax(logits), on the CPU.

    An exponential race is what `torch.multinomial` runs, too; in the log domain a
    vanishing probability stays above one of zero. A block with fewer choices than
    `count` fills up with choices of probability zero.
    """
    logits = logits.detach().cpu()
    race = torch.empty_like(logits).exponential_(generator=generator)
    return (logits - race.log()).topk(count, dim=1).indices


def sample_path(supernet: Supernet, generator: torch.Generator) -> list[int]:
    """One choice a block, drawn from the supernet's probabilities."""
    drawn = sample_choices(supernet.logits(), 1, generator)
    return cast("list[int]", drawn.squeeze(1).tolist())


def draw(supernet: Supernet, gradient: Gradient, generator: torch.Generator) -> Draw:
    """The path of one architecture step and the choices that it compares."""
    path, involved = draw_of(supernet.alpha, supernet.exists, gradient, generator)
    return Draw(path, involved)


def draw_of(
    alpha: Tensor, exists: Tensor, gradient: Gradient, generator: torch.Generator
) -> tuple[list[int], Tensor]:
    """One choice a row of alpha [rows, choices], and the choices that the step compares."""
    logits = alpha.detach().masked_fill(~exists, -torch.inf)
    if gradient != "two":
        path = sample_choices(logits, 1, generator).squeeze(1)
        return cast("list[int]", path.tolist()), exists
    chosen = sample_choices(logits, min(2, alpha.shape[1]), generator).to(exists.device)
    involved = torch.zeros_like(exists).scatter(1, chosen, value=True) & exists
    pair = logits.masked_fill(~involved, -torch.inf)
    path = sample_choices(pair, 1, generator).squeeze(1)
    return cast("list[int]", path.tolist()), involved


@torch.no_grad()
def gate_gradients(
    supernet: Supernet, drawn: Draw, boundaries: list[Tensor], output_gradients: list[Tensor]
) -> Tensor:
    """dL/dg [blocks, most choices]: <output of the choice, dL/d output of the block>.

    Only choices that did not run are computed here, one at a time and without a graph, so
    the memory is that of one path. 0 where a choice is not involved.

    Args:
        supernet: in train mode, with frozen statistics.
        drawn: what ran.
        boundaries: from `Supernet.trace`.
        output_gradients: dL/d output of each block.
    """
    gradients = torch.zeros_like(supernet.alpha)
    rows = cast("list[list[bool]]", drawn.involved.tolist())
    for block, (active, row) in enumerate(zip(drawn.path, rows, strict=True)):
        others = [choice for choice, involved in enumerate(row) if involved and choice != active]
        outputs = supernet.compared(block, others, boundaries[block])
        for choice, output in zip(others, outputs, strict=True):
            gradients[block, choice] = inner_product(output, output_gradients[block])
        if row[active]:
            gradients[block, active] = inner_product(boundaries[block + 1], output_gradients[block])
    return gradients


def inner_product(x: Tensor, y: Tensor) -> Tensor:
    """Sum of x * y (scalar) in float32 at least, without a product as large as they are."""
    if x.dim() == 4:  # noqa: PLR2004 - images, laid out NHWC: flattening them copies nothing
        x, y = x.permute(0, 2, 3, 1), y.permute(0, 2, 3, 1)
    wide = torch.promote_types(x.dtype, torch.float32)
    return torch.dot(x.detach().to(wide).reshape(-1), y.detach().to(wide).reshape(-1))


@torch.no_grad()
def alpha_gradients(gate_gradients: Tensor, alpha: Tensor, involved: Tensor) -> Tensor:
    """dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i), p the softmax over involved choices.

    All tensors are [blocks, most choices]. Source: ProxylessNAS, equation 4.
    """
    p = torch.softmax(alpha.masked_fill(~involved, -torch.inf), dim=1)
    return p * (gate_gradients - (gate_gradients * p).sum(dim=1, keepdim=True))


@torch.no_grad()
def reinforce_gradients(alpha: Tensor, exists: Tensor, path: list[int], advantage: float) -> Tensor:
    """(L - baseline) * d log p(path) / d alpha; its mean over paths is the gradient of E[L].

    Args:
        alpha: [blocks, most choices].
        exists: like alpha, which choices there are.
        path: that was drawn from softmax(alpha).
        advantage: loss of the path less the baseline.
    """
    p = torch.softmax(alpha.masked_fill(~exists, -torch.inf), dim=1)
    chosen = torch.zeros_like(p)
    chosen[torch.arange(len(path)), torch.tensor(path)] = 1.0
    return advantage * (chosen - p)


@torch.no_grad()
def keep_other_probabilities(alpha: Tensor, before: Tensor, involved: Tensor) -> None:
    """Shift changed alphas, in place, so that choices that were not involved keep their odds.

    Subtracts log(sum exp(new) / sum exp(old)) over the involved.
    """

    def mass(values: Tensor) -> Tensor:
        return values.masked_fill(~involved, -torch.inf).logsumexp(dim=1, keepdim=True)

    alpha -= torch.where(involved, mass(alpha) - mass(before), 0.0)
