"""Measuring a batch by the protocol: stretches of visits, anchors between them, acceptance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from device_agent.errors import DeviceNotReady, DeviceQuarantined, VisitFailed, VisitTimedOut
from device_agent.measuring.anchor import AnchorWatch
from device_agent.measuring.device import MeasuringDevice, VisitRequest, VisitResult
from device_agent.measuring.fitness import Fitness
from device_agent.measuring.spool import Spool
from device_agent.measuring.task_batch import PlannedVisit, TaskBatch, operators_to_profile
from device_agent.measuring.visit_label import VisitLabel
from device_agent.processes.progress import Progress
from device_agent.processes.status import StatusFile
from device_agent.runners.base import Measured
from device_agent.text import one_line
from netspec.protocol import MeasurementProtocol
from netspec.wire import ModelSubject, Visit

#: visits between two looks through the gate, at least: a look takes time
_STRETCH = 20
_S_PER_MINUTE = 60
#: among the ids of tasks
_ANCHOR_ID = ""

_log = structlog.get_logger()


@dataclass(frozen=True)
class DeviceIds:
    """What every visit of a lease carries."""

    lease_id: str
    device_id: str
    target_id: str


@dataclass
class Measuring:
    """Visits the stretches of one batch; every visit is in the spool as soon as it is known.

    Between two anchors, visits are held back from the upload: the second one may reject them.
    """

    device: MeasuringDevice
    protocol: MeasurementProtocol
    spool: Spool
    batch: TaskBatch
    ids: DeviceIds
    progress: Progress
    watch: AnchorWatch | None
    #: whether the batch may go on; asked before each visit
    go_on: Callable[[], bool]
    cancelled: Callable[[], frozenset[str]]
    fail: Callable[[PlannedVisit, VisitFailed], None]
    status: StatusFile | None = None

    _held: list[tuple[PlannedVisit, Visit]] = field(default_factory=list)
    _since_anchor: int = 0
    #: the last anchor's time over its reference; None before the first
    _ratio: float | None = None
    _slow: bool = False
    _steps: tuple[str, ...] = ()
    _advanced: int = 0
    _plan: list[PlannedVisit | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fitness = Fitness(self.device, self.protocol, self.go_on)

    def run(self, files: dict[str, Path], anchor: Path | None) -> None:
        """Measures until the batch is done or `go_on` says no.

        Args:
            files: models by task id.
            anchor: the anchor's model, None to do without.

        Raises:
            DeviceNotReady: the device is not fit, or stopped working.
        """
        try:
            self._warm(files)
            while self.go_on():
                stretch = self.batch.stretch(_STRETCH, self.cancelled())
                if not stretch and not (self._since_anchor and anchor):
                    return
                self._steps = self._fitness.wait(self._ratio if self._slow else None)
                if self.status is not None:
                    self.status.change(
                        state="measuring", why="", waiting_visits=self.spool.waiting()
                    )
                self._visit(stretch, files, anchor)
        finally:
            self._release("")

    def _warm(self, files: dict[str, Path]) -> None:
        """Has the device work until it is as warm as the protocol wants it."""
        warming = self.protocol.warming
        if warming is None or not files:
            return
        if self.status is not None:
            self.status.change(state="measuring", why=f"warming up for {warming.minutes:g} min")
        _log.info("warming up", device=self.device.serial, min=warming.minutes)
        model = next(iter(files.values()))
        seconds = warming.minutes * _S_PER_MINUTE
        # A launch that fails is told by the task's own visits.
        for _ in self.device.sustain(model, seconds, self.go_on, allow_partial=True):
            pass

    def keep_late(self) -> int:
        """Spools the visits of the last stretch that are only known now; how many there are.

        The lease may be over; they are true all the same.
        """
        kept = 0
        for result in self.device.late():
            planned = self._plan[result.index]
            if planned is not None and isinstance(result.outcome, Measured):
                self.spool.append(self._as_visit(planned, result, result.outcome))
                kept += 1
        self._settle()
        return kept

    def _visit(
        self, stretch: Sequence[PlannedVisit], files: dict[str, Path], anchor: Path | None
    ) -> None:
        """One stretch, with anchors between; it ends early when an anchor asks to cool down."""
        if anchor is None:
            plan: list[PlannedVisit | None] = list(stretch)
        else:
            plan = list(self._with_anchors(stretch))
            files = {**files, _ANCHOR_ID: anchor}
        self._plan = plan
        requests = [self._request(planned, files) for planned in plan]
        broken_off = False

        def go_on() -> bool:
            return self.go_on() and not broken_off

        def wanted(index: int) -> bool:
            planned = plan[index]
            return planned is None or (
                not self.batch.failed(planned.task) and planned.task.task_id not in self.cancelled()
            )

        try:
            for result in self.device.visits(requests, go_on, wanted):
                planned = plan[result.index]
                if planned is not None:
                    self._keep(planned, result)
                    self._advance()
                elif self._judge(result):
                    broken_off = self._fitness.may_cool_down
        except DeviceNotReady:
            # What the device handed out is spooled; what follows a quarantine is not wanted.
            with suppress(DeviceNotReady):
                self._settle()
            raise
        self._settle()

    def _settle(self) -> None:
        """The device keeps visits until they would survive a power cut here."""
        self.device.discard_results(self.spool.sync)

    def _advance(self) -> None:
        """One step, but not for visits made again in place of rejected ones."""
        if self._advanced < self.batch.visits:
            self._advanced += 1
            self.progress.advance()

    def _with_anchors(self, stretch: Sequence[PlannedVisit]) -> Iterator[PlannedVisit | None]:
        """The visits with the anchor, None, first where it is not known to be good, and between."""
        assert self.protocol.anchor is not None  # noqa: S101 (there is a model of it)
        since = self._since_anchor
        if self._ratio is None or self._slow or not stretch:
            since = 0
            yield None
        for planned in stretch:
            if since >= self.protocol.anchor.every:
                since = 0
                yield None
            since += 1
            yield planned

    def _keep(self, planned: PlannedVisit, result: VisitResult) -> None:
        if isinstance(result.outcome, VisitFailed):
            if self.status is not None:
                self.status.count(failed=True)
            if not self.batch.failed(planned.task):
                self.fail(planned, result.outcome)
            return
        self._since_anchor += 1
        visit = self._as_visit(planned, result, result.outcome)
        self.batch.count(planned.task, visit.rejected)
        if self.status is not None:
            self.status.count(rejected=bool(visit.rejected))
        hold = self.watch is not None and not visit.rejected
        self.spool.append(visit, held=hold)
        if hold:
            self._held.append((planned, visit))

    def _judge(self, result: VisitResult) -> bool:
        """Whether the anchor is slow; settles the visits since the last one.

        Raises:
            DeviceQuarantined: it is far too slow again.
            DeviceNotReady: it did not come to its end.
        """
        assert self.watch is not None  # noqa: S101 (there is a model of it)
        self._since_anchor = 0
        if isinstance(result.outcome, VisitTimedOut):
            raise DeviceNotReady(f"{self.device.serial} cannot run the anchor: {result.outcome}")
        if isinstance(result.outcome, VisitFailed):
            why = one_line(result.outcome)
            _log.warning("the anchor gave no number", why=why)
            self._ratio = 1.0
            self._release("")
            return False
        verdict = self.watch.judge(result.outcome.statistics.p5_us)
        was_slow, self._slow = self._slow, verdict.state != "good"
        self._ratio = verdict.ratio
        reason = ""
        if self._slow:
            reason = f"the anchor after this visit took {verdict.ratio:.2f} times its reference"
        elif was_slow:
            reason = "the anchor before this visit was slow"
        self._release(reason)
        if verdict.state == "quarantine":
            raise DeviceQuarantined(
                f"the anchor took {verdict.ratio:.2f} times its reference, twice in a row: "
                f"{self.device.serial} goes into quarantine; look after its heat, then release it"
            )
        return self._slow

    def _release(self, rejected: str) -> None:
        """Visits since the last anchor may be uploaded, as rejected where there is a reason."""
        if rejected:
            for planned, _ in self._held:
                self.batch.take_back(planned.task, rejected)
        self.spool.release([visit.id for _, visit in self._held], rejected)
        self._held.clear()

    def _as_visit(self, planned: PlannedVisit, result: VisitResult, measured: Measured) -> Visit:
        return self._label(planned).visit(result, measured, self.protocol)

    def _request(self, planned: PlannedVisit | None, files: dict[str, Path]) -> VisitRequest:
        if planned is None:
            return VisitRequest(files[_ANCHOR_ID])
        label = self._label(planned).model_dump_json()
        return VisitRequest(
            files[planned.task.task_id],
            operators_to_profile(planned.task),
            label,
            allow_partial=isinstance(planned.task.subject, ModelSubject),
        )

    def _label(self, planned: PlannedVisit) -> VisitLabel:
        return VisitLabel(
            spool=self.spool.path.name,
            task_id=planned.task.task_id,
            lease_id=self.ids.lease_id,
            device_id=self.ids.device_id,
            target_id=self.ids.target_id,
            subject_hash=planned.task.subject.content_hash,
            round=planned.round,
            profiled=operators_to_profile(planned.task) is not None,
            steps=self._steps,
            anchor_ratio=self._ratio,
        )
