"""One attempt at a lease: prepare, visit in rounds, upload, hand back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import structlog

from device_agent.batch import Batch
from device_agent.device import Device
from device_agent.errors import DeviceNotReady, VisitFailed
from device_agent.lease_keeper import LeaseKeeper
from device_agent.link import Link
from device_agent.model_files import ModelFiles, WrongContent
from device_agent.progress import Progress
from device_agent.spool import Spool
from device_agent.stop import StopSignal
from device_agent.uploader import Uploader
from netspec.errors import EncodingError, ProfilerRefused, ProfilerUnreachable
from netspec.protocol import MeasurementProtocol
from netspec.wire import Lease, LeasedTask, RegisteredDevice, Visit

#: between tries to hand over visits and lease while the server is away, s
_HAND_OVER_EVERY_S = 2.0

_log = structlog.get_logger()


@dataclass(frozen=True)
class Bench:
    """What every attempt of an agent measures with."""

    device: Device
    protocol: MeasurementProtocol
    link: Link
    spool: Spool
    models: ModelFiles
    stop: StopSignal
    progress: Progress


class Attempt:
    """An attempt at one lease. Visits are spooled as they are made, whatever happens then."""

    def __init__(self, bench: Bench, registered: RegisteredDevice, lease: Lease) -> None:
        self._bench = bench
        self._registered = registered
        self._lease = lease
        self._batch = Batch(lease)
        self._uploader = Uploader(bench.spool, bench.link)
        self._keeper = LeaseKeeper(bench.link, lease, registered.renew_every_s)

    def run(self) -> None:
        """Measures until the batch is done, the lease is over or the agent is asked to stop.

        Raises:
            LeaseLost: the lease was gone before the first visit.
            DeviceNotReady: the device stopped working; the lease is handed back.
            ProfilerRefused: the server takes no upload now; the visits stay spooled.
            ProfilerUnreachable: the server is away; the visits stay spooled.
        """
        bench, batch = self._bench, self._batch
        not_ready: DeviceNotReady | None = None
        with self._keeper:
            _log.info("leased", lease=self._lease.id, tasks=len(batch.tasks), visits=batch.visits)
            files = self._prepare()
            with self._uploader, bench.progress.stage("measuring", batch.visits):
                try:
                    self._measure(files)
                except DeviceNotReady as error:
                    not_ready = error
            self._hand_over()
        if not_ready is not None:
            raise not_ready

    def _prepare(self) -> dict[str, Path]:
        """The models of the batch on disk, by task id: nothing is encoded between visits."""
        bench, batch = self._bench, self._batch
        files: dict[str, Path] = {}
        with bench.progress.stage("preparing", len(batch.tasks)):
            for task in batch.tasks:
                if bench.stop.requested:
                    break
                try:
                    files[task.task_id] = bench.models.path(task.subject)
                except (EncodingError, WrongContent, ProfilerRefused) as error:
                    self._fail(task, error)
                bench.progress.advance()
        bench.models.evict(keep=set(files.values()))
        return files

    def _measure(self, files: dict[str, Path]) -> None:
        bench, batch, keeper = self._bench, self._batch, self._keeper
        for number, tasks in enumerate(batch.rounds()):
            for task in tasks:
                if bench.stop.requested or not keeper.held:
                    return
                if not batch.failed(task) and task.task_id not in keeper.cancelled:
                    try:
                        visit = self._visit(task, files[task.task_id], number)
                    except VisitFailed as error:
                        self._fail(task, error)
                    else:
                        bench.spool.append(visit)
                        batch.count(task)
                bench.progress.advance()

    def _visit(self, task: LeasedTask, model: Path, number: int) -> Visit:
        device = self._bench.device
        before = device.observe()
        started_at = datetime.now(UTC)
        measured = device.runner.visit(model, self._bench.protocol)
        return Visit(
            id=uuid4(),
            task_id=task.task_id,
            device_id=self._registered.id,
            target_id=self._lease.target_id,
            subject_hash=task.subject.content_hash,
            round=number,
            started_at=started_at,
            statistics=measured.statistics,
            before=before,
            after=device.observe(),
            raw=measured.raw,
        )

    def _fail(self, task: LeasedTask, error: Exception) -> None:
        self._batch.fail(task, str(error))
        _log.warning("task failed", subject=task.subject.name, why=" ".join(str(error).split()))

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
        outcomes = self._batch.outcomes()
        try:
            self._bench.link.release(self._lease, outcomes)
        except ProfilerRefused as error:
            # The visits are there; the server has given the tasks to somebody else.
            _log.warning("lease not handed back", lease=self._lease.id, why=str(error))
        else:
            states: Counter[str] = Counter(outcome.state for outcome in outcomes)
            _log.info("released", lease=self._lease.id, **states)
