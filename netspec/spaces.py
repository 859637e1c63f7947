"""Search spaces: networks with choices.

Source: ProxylessNAS (ICLR 2019), its released search space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from netspec.errors import InvalidSpec
from netspec.networks import HEAD_CHANNELS, MAX_NAME, Network, head_and_classifier, round_channels
from netspec.operators import (
    Channels,
    Classifier,
    HeadConv,
    MBConv,
    Operator,
    Precision,
    Side,
    StemConv,
    Stride,
)


class Stage(BaseModel):
    """A run of searched blocks with one output width."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: output channels at width 1.0
    channels: Annotated[int, Field(ge=1, le=4096)]
    #: number of blocks
    depth: Annotated[int, Field(ge=1, le=16)]
    #: stride of the first block; the others have 1
    stride: Stride


PROXYLESS_STAGES = (
    Stage(channels=24, depth=4, stride=2),
    Stage(channels=40, depth=4, stride=2),
    Stage(channels=80, depth=4, stride=2),
    Stage(channels=96, depth=4, stride=1),
    Stage(channels=192, depth=4, stride=2),
    Stage(channels=320, depth=1, stride=1),
)

#: of choices in names: 3 kernels times 4 expansion ratios, and Zero
_DIGITS = "0123456789abc"
#: side (px) of the least map on which kernels of a block of stride 1 still differ
LEAST_MAP = 4


@dataclass(frozen=True)
class Block:
    """One searched position: its candidate operators, and whether Zero is one more."""

    candidates: tuple[MBConv, ...]
    #: Zero is the last choice: the block is skipped, x passes, cost 0
    skippable: bool

    @property
    def choices(self) -> int:
        """Number of choices, Zero included."""
        return len(self.candidates) + int(self.skippable)


class Space(BaseModel):
    """The ProxylessNAS space for any input size, width multiplier and stages.

    stem conv 3x3, a fixed MBConv 3x3 expand 1, the searched stages, a 1x1 head and the
    classifier. Candidates of a block are kernels x expands, kernels varying slowest; Zero
    joins, last, where stride is 1 and the width stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: the only one that there is
    kind: Literal["proxylessnas"] = "proxylessnas"
    #: px
    input_size: Side = 224
    #: multiplies the channels of every layer but the classifier's
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    #: of the classifier; a search takes those of its data
    classes: Annotated[Channels, Field(ge=2)] = 1000
    #: of every operator; a search takes both in turn
    precision: Precision = "float32"
    #: of the stem; 1 keeps small images large enough for the stages behind it
    stem_stride: Stride = 2
    #: output channels of the head, multiplied by the width where that is above 1
    head_channels: Channels = HEAD_CHANNELS
    #: of searched blocks: channels at width 1, number of blocks, stride of the first one
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=16)] = PROXYLESS_STAGES
    #: sizes of the depthwise convolutions to choose among
    kernels: Annotated[tuple[Literal[3, 5, 7], ...], Field(min_length=1, max_length=3)] = (3, 5, 7)
    #: expansion ratios to choose among
    expands: Annotated[
        tuple[Annotated[int, Field(ge=1, le=16)], ...], Field(min_length=1, max_length=4)
    ] = (3, 6)

    @cached_property
    def fixed_start(self) -> tuple[StemConv, MBConv]:
        """The stem and the first block, which are not searched."""
        stem = StemConv(
            input_size=self.input_size,
            in_channels=3,
            out_channels=round_channels(32 * self.width),
            stride=self.stem_stride,
            precision=self.precision,
        )
        out_channels = round_channels(16 * self.width)
        first = MBConv(
            input_size=stem.output_size,
            in_channels=stem.out_channels,
            out_channels=out_channels,
            expand=1,
            residual=stem.out_channels == out_channels,
            precision=self.precision,
        )
        return stem, first

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The searched blocks, in order."""
        _, before = self.fixed_start
        size, channels = before.output_size, before.out_channels
        blocks = []
        for stage in self.stages:
            out_channels = round_channels(stage.channels * self.width)
            for index in range(stage.depth):
                stride: Stride = stage.stride if index == 0 else 1
                keeps_shape = stride == 1 and channels == out_channels
                candidates = tuple(
                    MBConv(
                        input_size=size,
                        in_channels=channels,
                        out_channels=out_channels,
                        kernel=kernel,
                        expand=expand,
                        stride=stride,
                        residual=keeps_shape,
                        precision=self.precision,
                    )
                    for kernel in self.kernels
                    for expand in self.expands
                )
                blocks.append(Block(candidates, skippable=keeps_shape))
                size, channels = candidates[0].output_size, out_channels
        return tuple(blocks)

    @cached_property
    def fixed_end(self) -> tuple[HeadConv, Classifier]:
        """The head and the classifier, which are not searched."""
        last = self.blocks[-1].candidates[0]
        return head_and_classifier(
            last.output_size,
            last.out_channels,
            self.width,
            self.classes,
            self.precision,
            self.head_channels,
        )

    def cramped_blocks(self) -> int:
        """Number of searched blocks of stride 1 whose map is below `LEAST_MAP` px.

        On such a map a kernel sees mostly padding: kernels differ in latency and hardly in what
        they compute.
        """
        first = (block.candidates[0] for block in self.blocks)
        return sum(1 for block in first if block.stride == 1 and block.input_size < LEAST_MAP)

    def operators(self) -> tuple[Operator, ...]:
        """Every distinct operator of the space, in order of first appearance."""
        everything: list[Operator] = [*self.fixed_start]
        for block in self.blocks:
            everything += block.candidates
        return tuple(dict.fromkeys([*everything, *self.fixed_end]))

    def with_precision(self, precision: Precision) -> Space:
        """The same space with every operator in another precision."""
        return Space(**{**self.model_dump(), "precision": precision})

    def network(self, choices: Sequence[int], name: str | None = None) -> Network:
        """The network that one choice a block makes.

        Args:
            choices: one index a block into its candidates; `len(candidates)` means Zero.
            name: for people; by default the space's size and the choices, as far as they fit.

        Raises:
            InvalidSpec: a wrong number of choices, or one that a block does not have.
        """
        if len(choices) != len(self.blocks):
            raise InvalidSpec(
                f"the space has {len(self.blocks)} blocks, got {len(choices)} choices"
            )
        chosen: list[MBConv] = []
        for index, (block, choice) in enumerate(zip(self.blocks, choices, strict=True)):
            if not 0 <= choice < block.choices:
                raise InvalidSpec(f"block {index} has {block.choices} choices, got {choice}")
            if choice < len(block.candidates):
                chosen.append(block.candidates[choice])
        shown = "".join(_DIGITS[choice] for choice in choices)
        return Network(
            name=name or f"proxylessnas {self.input_size}-{self.width:g} {shown}"[:MAX_NAME],
            operators=(*self.fixed_start, *chosen, *self.fixed_end),
        )
