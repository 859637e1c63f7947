"""How a task is measured, and what a measured network tells of its operators."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from netspec.statistics import Microseconds
from netspec.wire.message import Message

#: `isolated`: each subject by itself; `in_network`: whole networks, with a profile of their
#: operators; `evaluate`: nothing is measured, models run test images; `sustained`: runs without
#: pause, of which there are windows and no visits; `energy`: windows that count energy
TaskMethod = Literal["isolated", "in_network", "evaluate", "sustained", "energy"]
#: those by which visits are made
MeasuringMethod = Literal["isolated", "in_network"]

#: characters that a kernel's name may have
MAX_KERNEL_NAME = 200

#: operators, or kernels, that a profile may have
MAX_PROFILED = 512

#: what an agent, a job or a task has that does not say: those of before there was a choice
ISOLATED: MeasuringMethod = "isolated"
#: of tasks whose subject is an evaluation, and of no others
EVALUATE: TaskMethod = "evaluate"
#: of tasks whose subject is sustained, and of no others
SUSTAINED: TaskMethod = "sustained"
#: of tasks whose subject is of energy, and of no others
ENERGY: TaskMethod = "energy"
#: of tasks that visits are made for
MEASURING_METHODS: tuple[MeasuringMethod, ...] = get_args(MeasuringMethod)


def is_isolated(value: object) -> bool:
    """Whether a field says nothing new: then it stays off the wire, where old peers refuse it."""
    return value in (ISOLATED, (ISOLATED,))


class Profile(Message):
    """What each operator of a network, or each kernel of an uploaded model, took inside it.

    It is made in runs of its own, after those of the visit's statistics: profiling slows a run
    down. What the runtime does between operators belongs to none of them, so their sum is less
    than a run.
    """

    #: by position in the network, in us: the sum over the operator's layers; of an uploaded model
    #: by position in `kernels`
    operators_us: Annotated[tuple[Microseconds, ...], Field(min_length=1, max_length=MAX_PROFILED)]
    #: what each number is of the operator's times in the profiled runs; of one target's runner
    #: always the same
    statistic: Literal["mean", "p5"]
    #: profiled runs
    count: Annotated[int, Field(ge=1, le=2**31 - 1)]
    #: a whole profiled run, in us, by the same statistic; None where the runner does not say
    network_us: Microseconds | None = None
    #: of an uploaded model, whose operators nobody has told: what the runtime calls each kernel, in
    #: the order of running; else empty
    kernels: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_KERNEL_NAME, pattern=r"^[^\x00]*$")], ...],
        Field(max_length=MAX_PROFILED, exclude_if=lambda value: not value),
    ] = ()

    @model_validator(mode="after")
    def _names_every_kernel(self) -> Self:
        if self.kernels and len(self.kernels) != len(self.operators_us):
            raise ValueError(
                f"{len(self.kernels)} `kernels` for {len(self.operators_us)} `operators_us`; name "
                "each, or none"
            )
        return self
