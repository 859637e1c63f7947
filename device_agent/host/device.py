"""This machine as a device: visits one after the other through its runner."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from device_agent.cpu_time import BusyWatch
from device_agent.errors import RunnerFailed, VisitFailed
from device_agent.host.rapl import Rapl
from device_agent.measuring.device import VisitRequest, VisitResult, applied_steps
from device_agent.measuring.energy import Counter, Reading
from device_agent.measuring.sustained import sustained_protocol
from device_agent.runners.base import ImageOutputs, Measured, Runner
from device_agent.runners.host_profile import methods_of
from device_agent.runners.image_runs import LiteRtImages
from netspec.images import Images
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.wire import (
    ENERGY,
    EVALUATE,
    ISOLATED,
    SUSTAINED,
    Conditions,
    EnergySubject,
    TaskMethod,
)


@dataclass
class LocalDevice:
    """A device whose runner is called directly, see `MeasuringDevice`."""

    serial: str
    identity: TargetIdentity
    runner: Runner
    #: conditions at this moment, cheap enough to be asked around every visit
    conditions: Callable[[], Conditions]
    #: core of this machine that its visits need to themselves, None if they need none
    core: int | None
    protocol: MeasurementProtocol = field(default_factory=MeasurementProtocol)
    #: share of that core's time that others take, None where nobody can tell
    busy: BusyWatch | None = None
    #: runs test images; None: nothing here does
    images: LiteRtImages | None = None
    #: counts energy; None: nothing here does
    rapl: Rapl | None = None
    #: see `MeasuringDevice.methods`
    methods: tuple[TaskMethod, ...] = (ISOLATED,)

    @property
    def reached_as(self) -> str:
        """See `MeasuringDevice.reached_as`."""
        return self.serial

    def try_runner(self) -> None:
        """A runtime that does not start says so at the first visit, and blames no task."""

    def learn_methods(self) -> None:
        """See `MeasuringDevice.learn_methods`; it is tried once."""
        if self.methods != (ISOLATED,):
            return
        self.methods = methods_of(self.runner, self.protocol)
        if self.images is not None:
            self.methods = (*self.methods, EVALUATE)
        self.methods = (*self.methods, SUSTAINED)
        if self.rapl is not None:
            self.methods = (*self.methods, ENERGY)

    def wake(self) -> None:
        """This machine is awake."""

    def prepare(self, models: Collection[Path]) -> None:
        """The models are where they are visited."""

    def observe(self) -> Conditions:
        """See `MeasuringDevice.observe`."""
        share = self.busy() if self.busy is not None else None
        steps = applied_steps(self.identity)
        return self.conditions().model_copy(update={"busy_share": share, "steps": steps})

    def visits(
        self,
        requests: Sequence[VisitRequest],
        go_on: Callable[[], bool],
        wanted: Callable[[int], bool],
    ) -> Iterator[VisitResult]:
        """See `MeasuringDevice.visits`.

        One visit is always begun ahead: neither the next one's order, nor what becomes of the last
        one, takes time between visits.
        """
        waiting = filter(wanted, takewhile(lambda _: go_on(), range(len(requests))))
        begun: deque[tuple[int, VisitFailed | None]] = deque()
        before, started_at = self.conditions(), datetime.now(UTC)

        def begin() -> None:
            if (index := next(waiting, None)) is not None:
                begun.append((index, self._begin(requests[index])))

        begin()
        try:
            while begun:
                begin()
                index, failed = begun.popleft()
                outcome = failed or self._finish()
                after, ended_at = self.conditions(), datetime.now(UTC)
                yield VisitResult(index, started_at, before, _with_share(after, outcome), outcome)
                before, started_at = after, ended_at
        finally:
            # What nobody wants any more is made all the same.
            for _, failed in begun:
                if failed is None:
                    self._finish()

    def _begin(self, request: VisitRequest) -> VisitFailed | None:
        try:
            self.runner.begin(
                request.model,
                self.protocol,
                request.operators,
                allow_partial=request.allow_partial,
            )
        except VisitFailed as error:
            return error
        return None

    def _finish(self) -> Measured | VisitFailed:
        try:
            return self.runner.finish()
        except VisitFailed as error:
            return error

    def evaluate(
        self, model: Path, images: Images, go_on: Callable[[], bool]
    ) -> ImageOutputs | None:
        """See `MeasuringDevice.evaluate`."""
        if self.images is None:
            raise RunnerFailed("this device's runner gives no outputs")
        return self.images.run(model, images, go_on)

    def sustain(
        self, model: Path, seconds: float, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> Iterator[VisitResult]:
        """See `MeasuringDevice.sustain`."""
        steady = replace(self, protocol=sustained_protocol(self.protocol))
        request = VisitRequest(model, allow_partial=allow_partial)
        until = time.monotonic() + seconds
        while go_on() and time.monotonic() < until:
            yield from steady.visits([request], lambda: True, lambda _: True)

    def count_energy(
        self, model: Path, subject: EnergySubject, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> tuple[Counter, Sequence[Reading], Sequence[int]] | None:
        """See `MeasuringDevice.count_energy`."""
        if self.rapl is None:
            raise RunnerFailed("this machine has no counters of energy")

        def launch(protocol: MeasurementProtocol) -> tuple[int, float]:
            self.runner.begin(model, protocol, allow_partial=allow_partial)
            runs = self.runner.finish().statistics
            return runs.count, runs.median_us

        found = self.rapl.count(subject, self.protocol, launch, go_on)
        return None if found is None else (self.rapl.counter, *found)

    def late(self) -> Iterator[VisitResult]:
        """Every visit is known as soon as it is made."""
        return iter(())

    def leftovers(self) -> Iterator[tuple[str, VisitResult]]:
        """A visit in flight ends with its agent."""
        return iter(())

    def discard_results(self, make_safe: Callable[[], None]) -> None:
        """Nothing is kept."""

    def rest(self) -> None:
        """Nothing was set."""

    def close(self) -> None:
        """Ends the runner."""
        self.runner.close()


def _with_share(after: Conditions, outcome: Measured | VisitFailed) -> Conditions:
    if isinstance(outcome, VisitFailed):
        return after
    return after.model_copy(update={"busy_share": outcome.busy_share})
