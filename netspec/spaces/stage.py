"""Stages of a space, and the blocks that they come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from netspec.errors import InvalidSpec
from netspec.operators import Operator, Stride
from netspec.spaces.plan import OperatorPlan, Slot
from netspec.validation import FrozenModel

Kernels = Annotated[tuple[Literal[3, 5, 7], ...], Field(min_length=1, max_length=3)]
Expands = Annotated[
    tuple[Annotated[int, Field(ge=1, le=16)], ...], Field(min_length=1, max_length=4)
]
#: 35 and Zero are as many as a network's name has digits and letters for
Candidates = Annotated[tuple[OperatorPlan, ...], Field(min_length=1, max_length=35)]


def _is_none(value: object) -> bool:
    return value is None


@dataclass(frozen=True)
class Block:
    """One searched position: its candidate operators, and whether Zero is one more."""

    candidates: tuple[Operator, ...]
    #: Zero is the last choice: the block is skipped, x passes, cost 0
    skippable: bool

    @property
    def choices(self) -> int:
        """Number of choices, Zero included."""
        return len(self.candidates) + int(self.skippable)


class Stage(FrozenModel):
    """A run of searched blocks with one output width.

    A block chooses among `candidates`; without any, among kernels x expands of `operator`, kernels
    varying slowest, and the space's further ones. What a stage leaves out is the space's.
    """

    #: output channels at width 1.0
    channels: Annotated[int, Field(ge=1, le=4096)]
    #: number of blocks
    depth: Annotated[int, Field(ge=1, le=16)]
    #: stride of the first block; the others have 1
    stride: Stride
    #: blocks that are never skipped; by default every block that keeps its shape may be skipped
    least_depth: Annotated[int | None, Field(ge=1, le=16, exclude_if=_is_none)] = None
    #: sizes of kernels to choose among
    kernels: Annotated[Kernels | None, Field(exclude_if=_is_none)] = None
    #: expansion ratios to choose among
    expands: Annotated[Expands | None, Field(exclude_if=_is_none)] = None
    #: what kernels and expands are of
    operator: Annotated[OperatorPlan | None, Field(exclude_if=_is_none)] = None
    #: operators to choose among, in place of kernels x expands
    candidates: Annotated[Candidates | None, Field(exclude_if=_is_none)] = None
    #: those of the first block, where they are others: not every operator can have a stride
    first_candidates: Annotated[Candidates | None, Field(exclude_if=_is_none)] = None

    def plans(
        self,
        kernels: Kernels,
        expands: Expands,
        operator: OperatorPlan,
        further: tuple[OperatorPlan, ...],
    ) -> Candidates:
        """What every block chooses among.

        Args:
            kernels: of the space.
            expands: of the space.
            operator: of the space.
            further: of the space, beside kernels x expands.

        Raises:
            InvalidSpec: the stage says it in two ways, or the operator has no kernel to choose.
        """
        if self.candidates is not None:
            for name in ("kernels", "expands", "operator"):
                if getattr(self, name) is not None:
                    raise InvalidSpec(f"{name}: the stage lists its candidates; leave it out")
            return self.candidates
        of = self.operator or operator
        for name, listed in (("kernel", "kernels"), ("expand", "expands")):
            if not (of.has(name) or (name == "expand" and of.has("middle"))):
                raise InvalidSpec(
                    f"operator: {of.kind} has no {name}, so that {listed} cannot be chosen among; "
                    "list `candidates`"
                )
        products = (
            of.with_values(kernel=kernel, expand=expand)
            for kernel in self.kernels or kernels
            for expand in self.expands or expands
        )
        return (*products, *further)

    def blocks(self, plans: Candidates, begin: Slot) -> Iterator[Block]:
        """The stage's blocks.

        Args:
            plans: what every block chooses among.
            begin: of the first block.

        Raises:
            InvalidSpec: a candidate cannot stand in a block, gives another shape than its block, or
                is there twice; or more blocks are kept than there are.
        """
        if (self.least_depth or 0) > self.depth:
            raise InvalidSpec(
                f"least_depth: {self.least_depth} blocks of {self.depth} cannot be kept"
            )
        size, channels = begin.input_size, begin.in_channels
        for index in range(self.depth):
            stride = self.stride if index == 0 else 1
            keeps_shape = stride == 1 and channels == begin.out_channels
            slot = replace(begin, input_size=size, in_channels=channels, stride=stride)
            first = index == 0 and self.first_candidates is not None
            chosen = (self.first_candidates or ()) if first else plans
            listed = first or self.candidates is not None
            name = "first_candidates" if first else "candidates" if listed else "kernels"
            operators = tuple(
                _placed(plan, slot, f"{name}.{at}" if listed else "operator")
                for at, plan in enumerate(chosen)
            )
            _require_distinct(operators, name)
            yield Block(operators, skippable=keeps_shape and index >= (self.least_depth or 0))
            size, channels = operators[0].output_size, begin.out_channels


def _placed(plan: OperatorPlan, slot: Slot, where: str) -> Operator:
    """A candidate at its place.

    Raises:
        InvalidSpec: it cannot stand there.
    """
    if plan.channels is not None:
        raise InvalidSpec(f"{where}: channels are those of the stage; leave them out")
    try:
        operator = plan.operator(slot)
    except InvalidSpec as error:
        raise InvalidSpec(f"{where}: {error}") from error
    expected = -(-slot.input_size // (slot.stride or 1))
    if operator.output_size != expected or operator.place != "block":
        raise InvalidSpec(
            f"{where}: {plan.kind} is no candidate: expected an operator of a block that gives "
            f"{expected} px, got one of the {operator.place} that gives {operator.output_size} px"
        )
    return operator


def _require_distinct(operators: tuple[Operator, ...], name: str) -> None:
    for at, operator in enumerate(operators):
        if operator in operators[:at]:
            raise InvalidSpec(
                f"{name}: number {operators.index(operator)} and number {at} are the same "
                f"operator, {operator.key}; leave one out"
            )
