"""One attempt at a lease: prepare, visit in rounds, upload, hand back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import structlog

from device_agent.errors import DeviceNotReady, ProfileMismatch
from device_agent.loop.bench import Bench
from device_agent.loop.evaluating import Evaluating
from device_agent.loop.lease_keeper import LeaseKeeper
from device_agent.loop.metering import Metering
from device_agent.loop.model_files import WrongContent
from device_agent.loop.one_by_one import OneByOne
from device_agent.loop.server import blames_the_moment
from device_agent.loop.sustaining import Sustaining
from device_agent.loop.uploader import Uploader
from device_agent.measuring.task_batch import TaskBatch, check_method
from device_agent.measuring.visits import DeviceIds, Measuring
from device_agent.runners.probe_operator import ANCHOR_OPERATOR
from device_agent.text import one_line
from netspec.errors import EncodingError, ProfilerRefused, ProfilerUnreachable
from netspec.wire import (
    ENERGY,
    EVALUATE,
    MEASURING_METHODS,
    SUSTAINED,
    Lease,
    LeasedTask,
    OperatorSubject,
    RegisteredDevice,
    TaskMethod,
)

#: between tries to hand over visits and lease while the server is away, s
_HAND_OVER_EVERY_S = 2.0
_ANCHOR = OperatorSubject(operator=ANCHOR_OPERATOR)

_log = structlog.get_logger()


#: how tasks are done of which no visits are made, in this order
_OTHERS: tuple[tuple[TaskMethod, type[OneByOne]], ...] = (
    (ENERGY, Metering),
    (SUSTAINED, Sustaining),
    (EVALUATE, Evaluating),
)


class Attempt:
    """An attempt at one lease. Visits are spooled as they are made, whatever happens then."""

    def __init__(self, bench: Bench, registered: RegisteredDevice, lease: Lease) -> None:
        self._bench = bench
        self._registered = registered
        self._lease = lease
        measured = [task for task in lease.tasks if task.method in MEASURING_METHODS]
        self._batch = TaskBatch(lease.model_copy(update={"tasks": tuple(measured)}))
        self._uploader = Uploader(bench.spool, bench.link)
        self._keeper = LeaseKeeper(bench.link, lease, registered.renew_every_s)
        self._measuring: Measuring | None = None
        #: what is done behind all visits; images last: for them a warm device is as good
        self._others = tuple(
            kind(
                bench=bench,
                lease_id=lease.id,
                tasks=[task for task in lease.tasks if task.method == method],
                go_on=lambda: self._keeper.held and not bench.stop.requested,
                cancelled=lambda: self._keeper.cancelled,
            )
            for method, kind in _OTHERS
        )

    def run(self) -> None:
        """Measures until the batch is done, the lease is over or the agent is asked to stop.

        Raises:
            LeaseLost: the lease was gone before the first visit.
            DeviceNotReady: the device stopped working; the lease is handed back.
            ProfilerRefused: the server takes no upload, or hands out no model, now; the visits stay
                spooled.
            ProfilerUnreachable: the server is away; the visits stay spooled.
        """
        batch = self._batch
        not_ready: DeviceNotReady | None = None
        with self._keeper:
            tasks = len(self._lease.tasks)
            _log.info("leased", lease=self._lease.id, tasks=tasks, visits=batch.visits)
            try:
                if batch.tasks:
                    self._visit_all()
                for others in self._others:
                    others.run()
            except DeviceNotReady as error:
                not_ready = error
            self._hand_over()
        if not_ready is not None:
            raise not_ready

    def _visit_all(self) -> None:
        bench = self._bench
        files = self._prepare()
        with self._uploader, bench.progress.stage("measuring", self._batch.visits):
            try:
                self._measure(files)
            finally:
                bench.device.rest()

    def _prepare(self) -> dict[str, Path]:
        """The models of the batch on disk, by task id: nothing is encoded between visits.

        Empty when the agent is asked to stop: nothing is visited then.
        """
        bench, batch = self._bench, self._batch
        files: dict[str, Path] = {}
        with bench.progress.stage("preparing", len(batch.tasks)):
            for task in batch.tasks:
                if bench.stop.requested:
                    return {}
                try:
                    check_method(task, bench.device.methods)
                    files[task.task_id] = bench.models.path(task.subject)
                except (EncodingError, WrongContent, ProfilerRefused, ProfileMismatch) as error:
                    if isinstance(error, ProfilerRefused) and blames_the_moment(error):
                        raise
                    self._fail(task, error)
                bench.progress.advance()
            wanted = set(files.values())
            if bench.watch is not None and files:
                wanted.add(bench.models.path(_ANCHOR))
            bench.device.prepare(wanted)
        bench.models.evict(keep=wanted)
        return files

    def _measure(self, files: dict[str, Path]) -> None:
        bench, batch, keeper = self._bench, self._batch, self._keeper
        anchored = bench.watch is not None
        self._measuring = Measuring(
            device=bench.device,
            protocol=bench.protocol,
            spool=bench.spool,
            batch=batch,
            ids=DeviceIds(self._lease.id, self._registered.id, self._lease.target_id),
            progress=bench.progress,
            watch=bench.watch,
            status=bench.status,
            go_on=lambda: keeper.held and not bench.stop.requested and not self._all_cancelled(),
            cancelled=lambda: keeper.cancelled,
            fail=lambda planned, error: self._fail(planned.task, error),
        )
        self._measuring.run(files, bench.models.path(_ANCHOR) if anchored else None)

    def keep_late(self) -> None:
        """Spools what the device made before it went away; to be called when it is back."""
        kept = self._measuring.keep_late() if self._measuring is not None else 0
        if kept:
            _log.info("visits fetched late", visits=kept, lease=self._lease.id)

    def _all_cancelled(self) -> bool:
        return self._keeper.cancelled.issuperset(task.task_id for task in self._batch.tasks)

    def _fail(self, task: LeasedTask, error: Exception) -> None:
        self._batch.fail(task, str(error))
        _log.warning("task failed", subject=task.subject.name, why=one_line(error))

    def _hand_over(self) -> None:
        """Uploads the rest and hands the lease back, waiting for the server while it lives."""
        while True:
            try:
                self._uploader.upload()
                if self._keeper.held:
                    self._release()
            except ProfilerUnreachable:
                if self._bench.stop.requested or not self._keeper.held:
                    raise
                self._bench.stop.wait(_HAND_OVER_EVERY_S)
            else:
                return

    def _release(self) -> None:
        outcomes = (
            *self._batch.outcomes(),
            *(one for others in self._others for one in others.outcomes()),
        )
        self._keeper.expect_end()
        try:
            self._bench.link.release(self._lease, outcomes)
        except ProfilerRefused as error:
            # The visits are there; the server has given the tasks to somebody else.
            _log.warning("lease not handed back", lease=self._lease.id, why=str(error))
        else:
            states: Counter[str] = Counter(outcome.state for outcome in outcomes)
            _log.info("released", lease=self._lease.id, **states)
