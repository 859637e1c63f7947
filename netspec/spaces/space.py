"""Search spaces: networks with choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.networks import HEAD_CHANNELS, MAX_NAME, Network, round_channels
from netspec.operators import Activation, Channels, Operator, Place, Precision, Side, Stride
from netspec.spaces.plan import OperatorPlan, Slot
from netspec.spaces.stage import Block, Expands, Kernels, Stage
from netspec.validation import FrozenModel

#: side (px) of the least map on which kernels of a block of stride 1 still differ
LEAST_MAP = 4
PROXYLESSNAS = "proxylessnas"
#: Source: ProxylessNAS (ICLR 2019), its released search space.
PROXYLESS_STAGES = (
    Stage(channels=24, depth=4, stride=2),
    Stage(channels=40, depth=4, stride=2),
    Stage(channels=80, depth=4, stride=2),
    Stage(channels=96, depth=4, stride=1),
    Stage(channels=192, depth=4, stride=2),
    Stage(channels=320, depth=1, stride=1),
)

#: of choices in names
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MBCONV = OperatorPlan(kind="mbconv")
_USUAL_STEM_STRIDE: Stride = 2
#: where else than among searched blocks operators may stand
_STEM_PLACES: tuple[Place, ...] = ("stem", "block")
_HEAD_PLACES: tuple[Place, ...] = ("block", "head")

Further = Annotated[tuple[OperatorPlan, ...], Field(max_length=16)]
Plans = Annotated[tuple[OperatorPlan, ...], Field(min_length=1, max_length=32)]


def _is_empty(value: Any) -> bool:
    return value is None or value == ()


class Space(FrozenModel):
    """A stem, stages of searched blocks, and a head, at any input size and width multiplier.

    What is left out is as in ProxylessNAS (ICLR 2019): a 3x3 convolution and a fixed MBConv of
    ratio 1 as the stem, blocks that choose among kernels x expands of an MBConv, a 1x1 convolution
    and the classifier as the head. Zero joins, last, where stride is 1 and the width stays.
    """

    #: what networks, jobs and reports call the space
    kind: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")] = PROXYLESSNAS
    #: px
    input_size: Side = 224
    #: multiplies the channels of every layer but the classifier's
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    #: of the classifier; a search takes those of its data
    classes: Annotated[Channels, Field(ge=2)] = 1000
    #: of every operator; a search takes both in turn
    precision: Precision = "float32"
    #: of the usual stem; 1 keeps small images large enough for the stages behind it
    stem_stride: Stride = _USUAL_STEM_STRIDE
    #: output channels of the usual head, multiplied by the width where that is above 1
    head_channels: Channels = HEAD_CHANNELS
    #: of searched blocks: channels at width 1, number of blocks, stride of the first one
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=16)] = PROXYLESS_STAGES
    #: sizes of the depthwise convolutions to choose among
    kernels: Kernels = (3, 5, 7)
    #: expansion ratios to choose among
    expands: Expands = (3, 6)
    #: what kernels and expands are of; by default an MBConv
    operator: Annotated[OperatorPlan | None, Field(exclude_if=_is_empty)] = None
    #: operators to choose among beside kernels x expands
    further_candidates: Annotated[Further, Field(exclude_if=_is_empty)] = ()
    #: of every operator that has one, in place of its own: `relu6` for runtimes without hard-swish
    activation: Annotated[Activation | None, Field(exclude_if=_is_empty)] = None
    #: operators before the first stage, in place of the usual ones
    stem: Annotated[Plans | None, Field(exclude_if=_is_empty)] = None
    #: operators behind the last stage, in place of the usual ones; channels are multiplied by the
    #: width where that is above 1. The last one classifies
    head: Annotated[Plans | None, Field(exclude_if=_is_empty)] = None
    #: input sizes (px) that a search chooses among; none: `input_size`
    sizes: Annotated[tuple[Side, ...], Field(max_length=16, exclude_if=_is_empty)] = ()
    #: width multipliers that a search chooses among; none: `width`
    widths: Annotated[
        tuple[Annotated[float, Field(gt=0, le=4)], ...],
        Field(max_length=8, exclude_if=_is_empty),
    ] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stem is not None and self.stem_stride != _USUAL_STEM_STRIDE:
            raise InvalidSpec("stem_stride: is that of the usual stem; give `stem` its stride")
        if self.head is not None and self.head_channels != HEAD_CHANNELS:
            raise InvalidSpec(
                "head_channels: are those of the usual head; give `head` its channels"
            )
        for name, values in (("sizes", self.sizes), ("widths", self.widths)):
            if len(set(values)) < len(values):
                raise InvalidSpec(f"{name}: expected each once, got {list(values)}")
        # All of it is put together once, so that whoever holds a space can rely on it.
        _ = self.fixed_end
        return self

    @cached_property
    def fixed_start(self) -> tuple[Operator, ...]:
        """The stem: what stands before the searched blocks."""
        plans = self.stem or (
            OperatorPlan.model_validate(
                {"kind": "stem", "channels": 32, "stride": self.stem_stride}
            ),
            _MBCONV.with_values(channels=16, expand=1),
        )
        operators = self._fixed(plans, "stem", self.width, (self.input_size, 3), _STEM_PLACES)
        return tuple(operators)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The searched blocks, in order."""
        before = self.fixed_start[-1]
        size, channels = before.output_size, before.out_channels
        blocks: list[Block] = []
        for index, stage in enumerate(self.stages):
            out_channels = round_channels(stage.channels * self.width)
            begin = Slot(size, channels, out_channels, stage.stride, self.width, *self._of_all)
            with _named(f"stages.{index}", "."):
                plans = stage.plans(
                    self.kernels, self.expands, self.operator or _MBCONV, self.further_candidates
                )
                blocks += stage.blocks(plans, begin)
            size, channels = blocks[-1].candidates[0].output_size, out_channels
        return tuple(blocks)

    @cached_property
    def fixed_end(self) -> tuple[Operator, ...]:
        """The head: what stands behind the searched blocks; the last one classifies."""
        last = self.blocks[-1].candidates[0]
        plans = self.head or (
            OperatorPlan(kind="head", channels=self.head_channels),
            OperatorPlan(kind="classifier"),
        )
        *head, classifier = plans
        if classifier.operator_class.place != "classifier":
            raise InvalidSpec(
                f"head.{len(head)}: the last operator must classify, got {classifier.kind}; "
                "end with a classifier"
            )
        if classifier.channels is not None:
            raise InvalidSpec(f"head.{len(head)}: channels are the classes; leave them out")
        begin = (last.output_size, last.out_channels)
        operators = self._fixed(head, "head", max(1.0, self.width), begin, _HEAD_PLACES)
        if operators:
            begin = (operators[-1].output_size, operators[-1].out_channels)
        with _named(f"head.{len(head)}"):
            slot = Slot(*begin, self.classes, None, 1.0, *self._of_all)
            operators.append(classifier.operator(slot))
        return tuple(operators)

    @property
    def _of_all(self) -> tuple[Precision, Activation | None]:
        return self.precision, self.activation

    def _fixed(
        self,
        plans: Sequence[OperatorPlan],
        name: str,
        width: float,
        begin: tuple[int, int],
        places: tuple[Place, ...],
    ) -> list[Operator]:
        operators: list[Operator] = []
        size, channels = begin
        for index, plan in enumerate(plans):
            out_channels = channels
            if plan.channels is not None:
                out_channels = round_channels(plan.channels * width)
            with _named(f"{name}.{index}"):
                if plan.operator_class.place not in places:
                    raise InvalidSpec(
                        f"{plan.kind} cannot stand in the {name}: expected one of a "
                        f"{' or '.join(places)}, got one of a {plan.operator_class.place}"
                    )
                slot = Slot(size, channels, out_channels, None, width, *self._of_all)
                operators.append(plan.operator(slot))
            size, channels = operators[-1].output_size, operators[-1].out_channels
        return operators

    def cramped_blocks(self) -> int:
        """Number of searched blocks of stride 1 whose map is below `LEAST_MAP` px.

        On such a map a kernel sees mostly padding: kernels differ in latency and hardly in what
        they compute.
        """
        first = (block.candidates[0] for block in self.blocks)
        return sum(1 for one in first if one.total_stride == 1 and one.input_size < LEAST_MAP)

    def operators(self) -> tuple[Operator, ...]:
        """Every distinct operator of the space, in order of first appearance."""
        everything: list[Operator] = [*self.fixed_start]
        for block in self.blocks:
            everything += block.candidates
        return tuple(dict.fromkeys([*everything, *self.fixed_end]))

    def with_values(self, **values: Any) -> Space:
        """The same space with other values of some fields.

        Raises:
            ValidationError: there can be no such space.
        """
        return Space.model_validate({**self.model_dump(), **values})

    def with_precision(self, precision: Precision) -> Space:
        """The same space with every operator in another precision."""
        return self.with_values(precision=precision)

    def variants(
        self, sizes: Sequence[int] = (), widths: Sequence[float] = ()
    ) -> list[list[Space]]:
        """The space at every size (inner) of every width (outer); without any, at its own."""
        return [
            [
                self.with_values(input_size=size, width=width, sizes=(), widths=())
                for size in sizes or self.sizes or (self.input_size,)
            ]
            for width in widths or self.widths or (self.width,)
        ]

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
        chosen: list[Operator] = []
        for index, (block, choice) in enumerate(zip(self.blocks, choices, strict=True)):
            if not 0 <= choice < block.choices:
                raise InvalidSpec(f"block {index} has {block.choices} choices, got {choice}")
            if choice < len(block.candidates):
                chosen.append(block.candidates[choice])
        shown = "".join(_DIGITS[choice] for choice in choices)
        return Network(
            name=name or f"{self.kind} {self.input_size}-{self.width:g} {shown}"[:MAX_NAME],
            operators=(*self.fixed_start, *chosen, *self.fixed_end),
        )


@contextmanager
def _named(where: str, then: str = ": ") -> Iterator[None]:
    """Say where in a space something is wrong."""
    try:
        yield
    except InvalidSpec as error:
        raise InvalidSpec(f"{where}{then}{error}") from error
