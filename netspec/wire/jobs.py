"""What is asked for, and how far it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.protocol import ClockPolicy, Delegate, TargetId, TargetIdentity, Text
from netspec.spaces import Space
from netspec.wire.devices import Labels
from netspec.wire.message import ListQuery, Message, Moment
from netspec.wire.outputs.energy import EnergyRequest
from netspec.wire.outputs.evaluations import EvaluationRequest
from netspec.wire.outputs.sustained import SustainedRequest
from netspec.wire.profiles import ISOLATED, MeasuringMethod, is_isolated
from netspec.wire.subjects import ModelSubject

#: two looks at an operator could share their bad luck; four find its place in 24 networks of the
#: ProxylessNAS space
APPEARANCES = 4


class TargetSelector(Message):
    """The targets of all devices that have the labels, as far as they are of the kind named.

    What is not named may be anything. How visits are made is part of the target, so a job cannot
    set it, but choose among the targets that there are.
    """

    #: a device must have all of these
    labels: Labels = Field(default_factory=dict)
    device_model: Text | None = None
    delegate: Delegate | None = None
    threads: Annotated[int, Field(ge=1, le=64)] | None = None
    #: cores that runs are pinned to, as a hex mask, or `none`
    affinity: Annotated[str, Field(pattern=r"^(none|[0-9a-f]{1,16})$")] | None = None

    clock_policy: ClockPolicy | None = None
    #: each visit counts at least so many runs
    runs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    #: each visit warms up at least so long, ms
    warmup_ms: Annotated[float, Field(ge=0, le=10_000)] | None = None

    def matches(self, identity: TargetIdentity, runs: int, warmup_ms: float) -> bool:
        """Whether a target is of the kind named; labels are the devices'.

        Args:
            identity: of the target.
            runs: at least so many count in each of its visits.
            warmup_ms: at least so long each of its visits warms up.
        """
        wanted = {
            "device_model": self.device_model,
            "delegate": self.delegate,
            "threads": self.threads,
            "affinity": self.affinity,
            "clock_policy": self.clock_policy,
        }
        same = all(
            value is None or getattr(identity, name) == value for name, value in wanted.items()
        )
        return same and (self.runs or 0) <= runs and (self.warmup_ms or 0.0) <= warmup_ms


#: of one job
MOST_SPACES = 16
#: what people look for in a job and find in its target
_OF_TARGETS = frozenset({*TargetSelector.model_fields, "protocol", "clock", "min_runs"})


class SiblingTransfer(Message):
    """Make the target's table out of another target's and a few visits.

    The server chooses what tells most: whole networks that the source has measured, and operators.
    When they are measured, every other operator of the source's gets an entry of the method
    `fitted`, with an interval; then, within the budget, those are measured that leave most doubt.
    """

    source_target_id: TargetId
    #: operators and networks that are measured first, of each precision
    visits: Annotated[int, Field(ge=4, le=500)] = 10
    #: operators that may be measured after these
    budget: Annotated[int, Field(ge=0, le=5_000)] = 0
    #: no more are, as soon as a network's sum is expected to be off by no more than this
    enough_percent: Annotated[float, Field(gt=0, le=100)] = 3.0


class JobRequest(Message):
    """What to measure, on one target or on those that are selected.

    Spaces are expanded by the server. There is a task for each subject on each target.
    """

    name: Text
    target_id: TargetId | None = None
    select: TargetSelector | None = None
    spaces: Annotated[tuple[Space, ...], Field(max_length=MOST_SPACES)] = ()
    operators: Annotated[tuple[Operator, ...], Field(max_length=5_000)] = ()
    networks: Annotated[tuple[Network, ...], Field(max_length=500)] = ()
    models: Annotated[tuple[ModelSubject, ...], Field(max_length=100)] = ()
    #: visits wanted of each subject
    rounds: Annotated[int, Field(ge=1, le=1_000)] = 10
    #: measure also what has a fresh entry
    remeasure: bool = False
    #: higher is leased first
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    #: spaces, operators and networks are measured in each of these; empty: as they are
    precisions: Annotated[tuple[Precision, ...], Field(max_length=2)] = ()
    #: of the operators without entry measure at most so many, those that tell most of the others,
    #: picked in steps; None: all. Of several targets the first one's entries decide
    budget: Annotated[int, Field(ge=1, le=5_000)] | None = None
    #: with a budget: end as soon as a network's sum is expected to be off by no more
    enough_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    #: `in_network`: networks with a profile of their operators, models with one of their kernels;
    #: of each space the fewest networks that show every operator `appearances` times
    method: Annotated[MeasuringMethod, Field(exclude_if=is_isolated)] = ISOLATED
    #: with `in_network`: how often each operator of a space is to be seen in a round
    appearances: Annotated[
        int, Field(ge=1, le=50, exclude_if=lambda value: value == APPEARANCES)
    ] = APPEARANCES
    #: instead of naming what to measure: a table for the target out of another target's
    transfer: Annotated[SiblingTransfer | None, Field(exclude_if=lambda value: value is None)] = (
        None
    )
    #: instead of naming what to measure: what a model gives for test images on the target
    evaluation: Annotated[
        EvaluationRequest | None, Field(exclude_if=lambda value: value is None)
    ] = None
    #: instead of naming what to measure: how fast a subject stays without pause on the target
    sustained: Annotated[SustainedRequest | None, Field(exclude_if=lambda value: value is None)] = (
        None
    )
    #: what is named is measured by its energy, not by its latency
    energy: Annotated[EnergyRequest | None, Field(exclude_if=lambda value: value is None)] = None

    @model_validator(mode="before")
    @classmethod
    def _sets_nothing_of_targets(cls, given: Any) -> Any:
        misplaced = sorted(_OF_TARGETS.intersection(given)) if isinstance(given, dict) else []
        if misplaced:
            raise ValueError(
                f"{', '.join(misplaced)}: how visits are made is part of the target; choose one "
                f"by `target_id`, or some by `select` with {', '.join(TargetSelector.model_fields)}"
            )
        return given

    @model_validator(mode="after")
    def _names_targets_once(self) -> Self:
        if (self.target_id is None) == (self.select is None):
            raise ValueError("name either `target_id` or `select`")
        return self

    @model_validator(mode="after")
    def _names_each_size_of_a_space(self) -> Self:
        for index, space in enumerate(self.spaces):
            if space.sizes or space.widths:
                raise ValueError(
                    f"spaces.{index}: a job measures a space at one size and width; name it once "
                    "for each, by `input_size` and `width`, and leave `sizes` and `widths` out"
                )
        return self

    @model_validator(mode="after")
    def _has_what_belongs_together(self) -> Self:
        if self.enough_percent is not None and self.budget is None:
            raise ValueError(
                "`enough_percent` ends a job with a `budget`; give one, or leave it out"
            )
        if self.appearances != APPEARANCES and self.method == ISOLATED:
            raise ValueError(
                "`appearances` is about networks; give the method `in_network`, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _transfers_to_one_target(self) -> Self:
        if self.transfer is not None and (self.target_id is None or self._names_subjects):
            raise ValueError(
                "with `transfer` the server chooses what to measure on one target: give "
                "`target_id`, and leave `select`, `spaces`, `operators`, `networks`, `models`, "
                "`budget` and `method` out"
            )
        return self

    @model_validator(mode="after")
    def _evaluates_or_sustains_alone(self) -> Self:
        alone = [one for one in ("evaluation", "sustained") if getattr(self, one) is not None]
        if alone and (
            len(alone) > 1
            or self.target_id is None
            or self.rounds != 1
            or self.transfer is not None
            or self._names_subjects
        ):
            raise ValueError(
                f"`{alone[0]}` runs once on one target: give `target_id` and `rounds` 1, and leave "
                "what is to be measured, `method`, `transfer` and any other such request out"
            )
        return self

    @model_validator(mode="after")
    def _measures_energy_alone(self) -> Self:
        others = (self.transfer, self.evaluation, self.sustained, self.budget)
        if self.energy is not None and (
            self.rounds != 1 or self.method != ISOLATED or any(one is not None for one in others)
        ):
            raise ValueError(
                "`energy` measures what is named once, in as many `windows` as it says: give "
                "`rounds` 1, and leave `method`, `budget` and any other such request out"
            )
        return self

    @property
    def _names_subjects(self) -> bool:
        """Whether it says what is to be measured, or how."""
        named = (self.spaces, self.operators, self.networks, self.models, self.budget)
        return self.method != ISOLATED or any(named)

    @model_validator(mode="after")
    def _profiles_networks(self) -> Self:
        if self.method == "in_network" and (self.operators or self.budget):
            raise ValueError(
                "the method `in_network` profiles `networks`, `models` and `spaces`; leave "
                "`operators` and `budget` out"
            )
        return self


class Owner(Message):
    """The token that made something; it alone, and `admin`, may change or delete that."""

    token_id: Text
    #: the token's
    name: str


JobState = Literal["queued", "running", "done", "failed", "cancelled"]


#: failures that a job is sent with
MAX_JOB_FAILURES = 20


class TaskFailure(Message):
    """A task that was given up."""

    subject: str
    reason: str
    target_id: TargetId | None = None


class Job(Message):
    """A job and how far it is."""

    id: Text
    name: Text
    #: the only target, or the first of `target_ids`
    target_id: TargetId
    #: where it is measured
    target_ids: tuple[TargetId, ...] = ()
    state: JobState
    created_at: AwareDatetime
    #: when its first task was leased; None: none was yet
    started_at: Annotated[AwareDatetime | None, Field(exclude_if=lambda value: value is None)] = (
        None
    )
    #: when nothing of it was left to measure: done, failed or cancelled; None: it is open, or this
    #: was not kept then
    ended_at: Annotated[AwareDatetime | None, Field(exclude_if=lambda value: value is None)] = None
    #: whose it is; None of jobs that the server's commands have filed, and of before that was kept
    owner: Annotated[Owner | None, Field(exclude_if=lambda value: value is None)] = None
    tasks: int
    tasks_done: int
    tasks_failed: int
    #: subjects that had a fresh entry and are not measured again
    reused: int
    #: wanted, and how many of them there are; in place of visits, `sustained` counts windows of
    #: 10 s, `evaluation` pieces of the images, and `energy` subjects
    visits: int
    visits_done: int
    #: time left, None until the first visits are there
    eta_s: float | None
    #: the first of the `tasks_failed`, in the job's order; all are listed at `/failures`
    failures: tuple[TaskFailure, ...] = ()
    #: of an open job: those of its targets that no device serves now, because none has them, or all
    #: are in quarantine or silent; their tasks wait
    unserved: Annotated[tuple[TargetId, ...], Field(exclude_if=lambda value: not value)] = ()
    #: with a budget or a transfer: by how much the sum of one network of its operators is expected
    #: to be off, measured or not, when operators were picked last; None: too little is known
    table_error_percent: Annotated[float | None, Field(exclude_if=lambda value: value is None)] = (
        None
    )


class JobQuery(ListQuery):
    """Which jobs, and in which order."""

    state: Annotated[
        tuple[JobState, ...], Field(max_length=5, description="In one of these; may be repeated")
    ] = ()
    name: Annotated[Text | None, Field(description="Part of the name, in either case")] = None
    owner: Annotated[Text | None, Field(description="Name or id of the token that filed it")] = None
    target_id: Annotated[TargetId | None, Field(description="One of its targets")] = None
    since: Annotated[Moment | None, Field(description="Filed from this time on")] = None
    until: Annotated[Moment | None, Field(description="Filed before this time")] = None
    sort: Annotated[
        Literal["created_at", "-created_at", "name", "-name", "priority", "-priority"],
        Field(description="By what; `-`: greatest first"),
    ] = "-created_at"


class FailureQuery(ListQuery):
    """Which tasks of a job that were given up, and in which order."""

    target_id: Annotated[TargetId | None, Field(description="On this target")] = None
    name: Annotated[
        Text | None, Field(description="Part of the subject's name, in either case")
    ] = None
    sort: Annotated[
        Literal["position", "-position"],
        Field(description="By what; `position`: the job's order; `-`: greatest first"),
    ] = "position"
