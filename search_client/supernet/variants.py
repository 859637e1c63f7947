"""Input size and width multiplier as one more choice: supernets with a gate over variants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec.networks import Network
from netspec.spaces import Space
from search_client.networks.layers import channels_last
from search_client.supernet.shared_weights import SharedWeights
from search_client.supernet.supernet import ALPHA_STD, Supernet

Weights = Literal["separate", "shared"]


@dataclass(frozen=True)
class Variant:
    """The space at one input size and width."""

    space: Space
    #: index of the supernet that holds its weights and alpha: that of its width
    supernet: int


class Family(nn.Module):
    """Every size and width that a search chooses among; most searches have one of each.

    A width is a supernet with `alpha` of its own, and weights of its own or slices of those that
    all widths share; the sizes of a width share both, for convolutions do not know their input's
    size. `beta` holds the architecture parameters of the variants, sizes varying fastest.
    """

    def __init__(
        self,
        space: Space,
        sizes: Sequence[int] = (),
        widths: Sequence[float] = (),
        weights: Weights = "separate",
    ) -> None:
        """Draws weights, alpha and beta from torch's global generator.

        Args:
            space: whose stages and candidates all variants have.
            sizes: input sizes, px; none: the space's.
            widths: width multipliers; none: the space's.
            weights: each candidate's own, or shared by the candidates of a block.
        """
        super().__init__()
        spaces = space.variants(sizes, widths)
        self.variants = tuple(
            Variant(one, index) for index, row in enumerate(spaces) for one in row
        )
        # Built at the greatest size; the other sizes' weights have the same shapes.
        largest = [max(row, key=lambda one: one.input_size) for row in spaces]
        self.shared = SharedWeights(largest) if weights == "shared" else None
        self.supernets = nn.ModuleList(Supernet(one, self.shared) for one in largest)
        self.beta = nn.Parameter(torch.randn(len(self.variants)) * ALPHA_STD)

    @property
    def input_size(self) -> int:
        """The greatest input size, px: that of the images to give."""
        return max(variant.space.input_size for variant in self.variants)

    def supernet(self, variant: int) -> Supernet:
        """The supernet that a variant runs in."""
        return cast("Supernet", self.supernets[self.variants[variant].supernet])

    def begin_training(self) -> None:
        """Into train mode, where it is not: the walk over a thousand modules takes milliseconds."""
        if not all(module.training for module in (self, *self.supernets)):
            self.train()

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter but alpha and beta."""
        if self.shared is not None:
            yield from self.shared.parameters()
        for supernet in self.supernets:
            yield from cast("Supernet", supernet).weights()

    def architecture(self) -> list[nn.Parameter]:
        """Every alpha, and beta."""
        return [*(cast("Supernet", supernet).alpha for supernet in self.supernets), self.beta]

    def variant_probabilities(self) -> Tensor:
        """Of each variant, [variants], differentiable to beta."""
        return torch.softmax(self.beta, dim=0)

    def entropy(self) -> Tensor:
        """Mean entropy of the blocks' choices, and of the variants' (nats, differentiable)."""
        per_width = [cast("Supernet", supernet).entropy() for supernet in self.supernets]
        blocks = torch.stack(per_width).mean()
        if len(self.variants) == 1:
            return blocks
        q = self.variant_probabilities()
        return blocks - (q * q.log()).sum()

    def network(self, variant: int, choices: Sequence[int]) -> Network:
        """The network of one variant and one choice a block."""
        return self.variants[variant].space.network(choices)

    def resized(self, variant: int, images: Tensor) -> Tensor:
        """Normalised images [N, 3, H, H] at the variant's input size, laid out NHWC."""
        size = self.variants[variant].space.input_size
        if size != images.shape[-1]:
            images = functional.interpolate(
                images, size=(size, size), mode="bilinear", antialias=True
            )
        return channels_last(images)

    def trace(
        self, variant: int, images: Tensor, path: Sequence[int]
    ) -> tuple[Tensor, list[Tensor]]:
        """`Supernet.trace` of a variant, for images of any size."""
        return self.supernet(variant).trace(self.resized(variant, images), path)

    def forward(self, variant: int, images: Tensor, path: Sequence[int]) -> Tensor:
        """Logits [N, classes] of a variant's path for normalised images of any size."""
        logits: Tensor = self.supernet(variant)(self.resized(variant, images), path)
        return logits
