"""A device as the agent's loop sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from device_agent.errors import VisitFailed
from device_agent.measuring.energy import Counter, Reading
from device_agent.runners.base import ImageOutputs, Measured
from netspec.images import Images
from netspec.operators import Operator
from netspec.protocol import TargetIdentity
from netspec.wire import Conditions, EnergySubject, TaskMethod


@dataclass(frozen=True)
class VisitRequest:
    """One visit of a stretch."""

    #: a file that was prepared
    model: Path
    #: of the model, where the visit shall carry a profile of them
    operators: Sequence[Operator] | None = None
    #: what it is for, kept beside its results; one line
    label: str = ""
    #: whether the delegate may leave operators to other kernels; no table is made of such a latency
    allow_partial: bool = False


@dataclass(frozen=True)
class VisitResult:
    """One visit of a stretch: what it gave, or why it gave nothing."""

    #: which of the stretch's visits
    index: int
    started_at: datetime
    before: Conditions
    after: Conditions
    outcome: Measured | VisitFailed
    #: names its launch, where the device may hand the visit out again; else empty
    launch: str = ""
    #: why it must not enter an estimate, whatever its runs say; empty if it may
    rejected: str = ""


class MeasuringDevice(Protocol):
    """Who it is, how visits are made on it, and how its conditions are observed.

    Every method raises `DeviceNotReady` when nothing can be measured on it now.
    """

    @property
    def serial(self) -> str:
        """Names the device among those of this agent."""

    @property
    def reached_as(self) -> str:
        """The name that this agent was given for it."""

    @property
    def identity(self) -> TargetIdentity:
        """What its latencies are true for."""

    @property
    def core(self) -> int | None:
        """Core of this machine that its visits need to themselves, None if they need none."""

    @property
    def methods(self) -> tuple[TaskMethod, ...]:
        """How tasks can be measured on it, as far as was learnt."""

    def try_runner(self) -> None:
        """Tries the runner, before any task meets it.

        Raises:
            PhoneUnusable: it is of no use; the text says why.
        """

    def learn_methods(self) -> None:
        """Tries whether the runner can profile; before, it is taken not to."""

    def wake(self) -> None:
        """Reaches the device again after it was not ready."""

    def prepare(self, models: Collection[Path]) -> None:
        """All that visits of the models need is on the device: nothing moves while it measures.

        Args:
            models: all files of a batch; older ones may leave the device's cache.
        """

    def observe(self) -> Conditions:
        """The conditions at this moment, and what others take of the measured cores."""

    def visits(
        self,
        requests: Sequence[VisitRequest],
        go_on: Callable[[], bool],
        wanted: Callable[[int], bool],
    ) -> Iterator[VisitResult]:
        """Makes these visits in this order, each in a fresh process.

        Args:
            requests: what to visit.
            go_on: the first no ends the stretch, after the visits that have begun, two at most;
                asked before each begins, or at least every few seconds.
            wanted: whether a visit, by its index, is still wanted; asked when that costs nothing.

        Raises:
            DeviceNotReady: nothing more can be measured; finished visits came before, or are
                handed out by `late`.
        """

    def evaluate(
        self, model: Path, images: Images, go_on: Callable[[], bool]
    ) -> ImageOutputs | None:
        """Runs a model on images, where the device has the method `evaluate`; nothing is measured.

        Args:
            model: a file on this machine.
            images: as the model takes them, [N, H, W, C].
            go_on: asked every few seconds; after the first no, what it gave is not wanted.

        Raises:
            VisitFailed: the model does not take the images, or the runner failed.
            DeviceNotReady: nothing can be run now.
        """

    def sustain(
        self, model: Path, seconds: float, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> Iterator[VisitResult]:
        """Runs a model without pause, for as long as asked: a launch a window, in their order.

        Args:
            model: a file that was prepared.
            seconds: of all launches together; the one that is running then comes to its end.
            go_on: a no ends the runs, after the launch in flight.
            allow_partial: whether the delegate may leave operators to other kernels.

        Raises:
            DeviceNotReady: the device went away, or cannot be used any more.
        """

    def count_energy(
        self, model: Path, subject: EnergySubject, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> tuple[Counter, Sequence[Reading], Sequence[int]] | None:
        """Reads a counter of energy between windows, where the device has the method `energy`.

        Args:
            model: a file that was prepared.
            subject: says how many windows, and how long.
            go_on: asked now and then; after the first no, what was counted is not wanted.
            allow_partial: whether the delegate may leave operators to other kernels.

        Returns:
            The counter, its readings, and the runs between them; None: `go_on` said no.

        Raises:
            VisitFailed: no energy can be told of the model on this device.
            DeviceNotReady: none can be told now.
        """

    def late(self) -> Iterator[VisitResult]:
        """After `wake`: the visits of the last stretch that nobody could fetch, if there are any.

        Their indexes are those of that stretch.
        """

    def leftovers(self) -> Iterator[tuple[str, VisitResult]]:
        """At the start: visits that an agent made which ended in the middle, with their notes.

        Each is handed out until `discard_results`.
        """

    def discard_results(self, make_safe: Callable[[], None]) -> None:
        """All visits handed out so far are spooled: the device may forget them.

        Args:
            make_safe: what is spooled survives a power cut after this; called before anything goes.
        """

    def rest(self) -> None:
        """The batch is over: settings that it needed are given back."""

    def close(self) -> None:
        """Gives the device back as it was found, and lets go of it."""


def applied_steps(identity: TargetIdentity) -> tuple[str, ...]:
    """What is applied to every visit of a target, for its conditions."""
    return (
        f"affinity {identity.affinity}",
        f"clock {identity.clock_policy}",
        f"runner {identity.runtime}",
    )
