"""The supernet: every candidate of a space as a torch module, one path run at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from netspec.spaces import Space
from search_client.networks.layers import (
    BiasedConv,
    ConvLayer,
    OperatorModule,
    channels_last,
)
from search_client.supernet import inactive_paths
from search_client.supernet.block_input import BlockInput
from search_client.supernet.shared_weights import SharedWeights

#: standard deviation of the first architecture parameters
ALPHA_STD = 1e-3


@torch.no_grad()
def align(candidates: Sequence[OperatorModule]) -> None:
    """Let the candidates of a block begin as one function, that of the smallest.

    Larger kernels begin as the smallest kernel within zeros, wider middles as the narrowest
    with further channels that the projection ignores at first. With unrelated weights, what
    a block's output channels mean depends on the choice, and where there is no residual
    nothing behind the block can learn before all its candidates have come to agree. Over ten
    blocks and some hundred steps that is the difference between chance and half the images right.

    Candidates of different layers cannot be one function; those of the same ones are aligned,
    where the smallest fits into them.
    """
    forms: dict[tuple[object, ...], list[list[Tensor]]] = {}
    for candidate in candidates:
        form = tuple((layer.name, layer.kind, layer.inputs) for layer in candidate.graph)
        forms.setdefault(form, []).append(_kernels(candidate))
    for alike in forms.values():
        smallest = min(alike, key=lambda weights: sum(weight.numel() for weight in weights))
        for weights in alike:
            pairs = list(zip(smallest, weights, strict=True))
            if weights is not smallest and all(_fits(core, weight) for core, weight in pairs):
                for core, weight in pairs:
                    _embed(core, weight)


def _kernels(candidate: OperatorModule) -> list[Tensor]:
    """The weights of its convolutions, [O, I, k, k] each."""
    modules = (candidate.chain[layer.name] for layer in candidate.graph)
    return [module.weight for module in modules if isinstance(module, ConvLayer | BiasedConv)]


def _fits(core: Tensor, weight: Tensor) -> bool:
    return all(one <= other for one, other in zip(core.shape, weight.shape, strict=True))


def _embed(core: Tensor, weight: Tensor) -> None:
    """Let the first output channels of a weight be those of a smaller one, within zeros."""
    outputs, inputs, _, kernel = core.shape
    margin = (weight.shape[-1] - kernel) // 2
    window = slice(margin, margin + kernel)
    weight[:outputs].zero_()
    weight[:outputs, :inputs, window, window] = core


class Supernet(nn.Module):
    """All networks of a space, each block with candidates of its own or with shared weights.

    A path is one choice a block, as in `Space.network`: an index into the block's
    candidates, or their number for Zero. Weights and `alpha` are drawn from torch's
    global generator; the candidates of a block begin aligned, see `align`, unless they are
    slices of shared weights.
    Source: ProxylessNAS (ICLR 2019), section 3.
    """

    def __init__(self, space: Space, shared: SharedWeights | None = None) -> None:
        """Args: the space, and the weights that its candidates are slices of, if they are."""
        super().__init__()
        self.space = space
        self.shares = shared is not None
        if shared is not None:
            self.start, self.blocks, self.end = shared.slices(space)
        else:
            self.start = nn.ModuleList(OperatorModule(operator) for operator in space.fixed_start)
            self.blocks = nn.ModuleList(
                nn.ModuleList(OperatorModule(candidate) for candidate in block.candidates)
                for block in space.blocks
            )
            for candidates in self.blocks:
                align([cast("OperatorModule", one) for one in cast("nn.ModuleList", candidates)])
            self.end = nn.ModuleList(OperatorModule(operator) for operator in space.fixed_end)
        most = max(block.choices for block in space.blocks)
        #: architecture parameters [blocks, most choices]; a block uses its first `choices`
        self.alpha = nn.Parameter(torch.randn(len(space.blocks), most) * ALPHA_STD)
        counts = torch.tensor([block.choices for block in space.blocks])
        #: bool, like `alpha`: whether the block has that choice
        self.exists: Tensor
        self.register_buffer("exists", torch.arange(most) < counts[:, None], persistent=False)
        #: every BatchNorm, found once: a walk over thousands of modules takes milliseconds
        self.norms = [child for child in self.modules() if isinstance(child, nn.BatchNorm2d)]

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter but `alpha`."""
        return (parameter for parameter in self.parameters() if parameter is not self.alpha)

    def logits(self) -> Tensor:
        """`alpha` [blocks, most choices], -inf where a block has no such choice."""
        return self.alpha.masked_fill(~self.exists, -torch.inf)

    def probabilities(self, among: Tensor | None = None) -> Tensor:
        """Return each choice's probability, differentiable to `alpha`; rows add up to 1.

        Args:
            among: bool [blocks, most choices], the choices that share the probability; by
                default all that exist.
        """
        logits = self.logits()
        return torch.softmax(
            logits if among is None else logits.masked_fill(~among, -torch.inf), dim=1
        )

    def log_probabilities(self) -> Tensor:
        """Natural logarithms of `probabilities`, -inf where a block has no such choice."""
        return torch.log_softmax(self.logits(), dim=1)

    def entropy(self) -> Tensor:
        """Mean over blocks of the entropy of their choices, in nats (scalar, differentiable)."""
        # 0 log 0 is 0: without the mask a choice that does not exist gives 0 * -inf.
        log_p = self.log_probabilities().masked_fill(~self.exists, 0.0)
        return -(self.probabilities() * log_p).sum(dim=1).mean()

    def most_likely(self) -> list[int]:
        """The path of greatest probability."""
        return cast("list[int]", self.logits().argmax(dim=1).tolist())

    def choose(self, block: int, choice: int, x: Tensor) -> Tensor:
        """What one choice of a block makes of its input; Zero passes `x` on."""
        candidates = cast("nn.ModuleList", self.blocks[block])
        return cast("Tensor", candidates[choice](x)) if choice < len(candidates) else x

    @torch.no_grad()
    def compared(self, block: int, choices: Sequence[int], x: Tensor) -> Iterator[Tensor]:
        """What choices make of a block's input, one at a time and without a graph.

        Normalised by the batch; running statistics must be frozen.
        """
        candidates = cast("nn.ModuleList", self.blocks[block])
        # The fewer passes pay where memory is slow; lower precisions take the plain way.
        plain = x.dtype != torch.float32 or torch.is_autocast_enabled(x.device.type)
        # One by itself has nobody to share with.
        plain = plain or x.is_cuda or self.shares or len(choices) == 1
        if plain:
            for choice in choices:
                yield self.choose(block, choice, x)
            return
        given = BlockInput(x)
        exist = [choice for choice in choices if choice < len(candidates)]
        modules = [cast("OperatorModule", candidates[choice]) for choice in exist]
        outputs = inactive_paths.outputs(modules, given)
        for choice in choices:
            yield next(outputs) if choice < len(candidates) else x

    def trace(self, images: Tensor, path: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Run a path so that its gates get gradients; running statistics must be frozen.

        No gate stands before the first block's output: only there the graph begins.

        Returns:
            logits [N, classes], and each block's input followed by the last block's output.
        """
        with torch.no_grad():
            x = channels_last(images)
            for operator in self.start:
                x = operator(x)
            (first,) = self.compared(0, path[:1], x)
        boundaries = [x, first.detach().requires_grad_()]
        for block, choice in enumerate(path[1:], start=1):
            boundaries.append(self.choose(block, choice, boundaries[-1]))
        x = boundaries[-1]
        for operator in self.end:
            x = operator(x)
        return x, boundaries

    def forward(self, images: Tensor, path: Sequence[int]) -> Tensor:
        """Logits [N, classes] of a path for normalised images [N, 3, H, W]."""
        x = channels_last(images)
        for operator in self.start:
            x = operator(x)
        for block, choice in enumerate(path):
            x = self.choose(block, choice, x)
        for operator in self.end:
            x = operator(x)
        return x


@contextmanager
def frozen_statistics(supernet: Supernet) -> Iterator[None]:
    """Normalise by the batch, yet keep it out of BatchNorm's running statistics."""
    # Past `nn.Module.__setattr__`, which takes milliseconds for hundreds of modules.
    held = [vars(norm) for norm in supernet.norms]
    for attributes in held:
        attributes["track_running_stats"] = False
    try:
        yield
    finally:
        for attributes in held:
            attributes["track_running_stats"] = True
