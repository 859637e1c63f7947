"""The evaluations of a lease: models on test images, after all that is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog

from device_agent.errors import VisitFailed
from device_agent.loop.model_files import ModelFiles, WrongContent
from device_agent.loop.server import Link, blames_the_moment
from device_agent.measuring.device import MeasuringDevice
from device_agent.processes.progress import Progress
from device_agent.processes.stop import StopSignal
from device_agent.runners.base import ImageOutputs
from device_agent.text import one_line
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.images import BadImages, Images, unpack
from netspec.wire import EvaluationSubject, LeasedTask, PieceOutputs, TaskOutcome

#: between tries to hand outputs over while the server is away, s
_HAND_OVER_EVERY_S = 2.0
_MAX_REASON = 2_000

_log = structlog.get_logger()


@dataclass
class Evaluating:
    """Runs the pieces of a lease one after the other, and sends each as soon as it is run.

    A piece that is not sent when the lease ends is lost, and no other.
    """

    device: MeasuringDevice
    link: Link
    models: ModelFiles
    stop: StopSignal
    progress: Progress
    lease_id: str
    tasks: Sequence[LeasedTask]
    #: whether the lease is held and the agent shall go on
    go_on: Callable[[], bool]
    cancelled: Callable[[], frozenset[str]]

    #: of the tasks that ended, how
    _ended: dict[str, TaskOutcome] = field(default_factory=dict)

    def run(self) -> None:
        """Runs what is wanted, until all is or `go_on` says no.

        Raises:
            DeviceNotReady: nothing can be run now.
            ProfilerUnreachable: the server is away, and the lease with it.
            ProfilerRefused: the server hands out nothing, or takes nothing, now.
        """
        if not self.tasks:
            return
        with self.progress.stage("evaluating", len(self.tasks)):
            for task in self.tasks:
                if not self.go_on():
                    return
                if task.task_id not in self.cancelled():
                    self._run(task)
                self.progress.advance()

    def outcomes(self) -> tuple[TaskOutcome, ...]:
        """How each piece ended."""
        return tuple(
            self._ended.get(task.task_id, TaskOutcome(task_id=task.task_id, state="unfinished"))
            for task in self.tasks
        )

    def _run(self, task: LeasedTask) -> None:
        try:
            outputs = self._outputs(task)
            if outputs is not None:
                self._send(task, outputs)
                self._end(task, "done")
        except (VisitFailed, WrongContent, BadImages, ProfilerRefused) as error:
            if isinstance(error, ProfilerRefused) and blames_the_moment(error):
                raise
            self._end(task, "failed", one_line(error)[:_MAX_REASON])
            _log.warning("task failed", subject=task.subject.name, why=one_line(error))

    def _outputs(self, task: LeasedTask) -> ImageOutputs | None:
        subject = task.subject
        if not isinstance(subject, EvaluationSubject):
            raise WrongContent(f"{subject.name} is no evaluation; update the agent")
        images = self._images(subject)

        def wanted() -> bool:
            return self.go_on() and task.task_id not in self.cancelled()

        return self.device.evaluate(self.models.path(subject), images, wanted)

    def _images(self, subject: EvaluationSubject) -> Images:
        """The piece's images.

        Raises:
            WrongContent: the server sent others, or other many than there are labels.
            BadImages: they cannot be read.
            ProfilerRefused: the server does not have them.
        """
        wanted, labels = subject.piece.images, subject.piece.labels
        content = self.link.images(wanted)
        digest = hashlib.sha256(content).hexdigest()
        if digest != wanted:
            raise WrongContent(
                f"images have SHA-256 {digest}, expected {wanted}; upload them again"
            )
        images = unpack(content)
        if len(images) != len(labels):
            raise WrongContent(
                f"the file {wanted} holds {len(images)} images, and the job names {len(labels)} "
                "labels; file it again"
            )
        return images

    def _send(self, task: LeasedTask, outputs: ImageOutputs) -> None:
        """Hands outputs over, waiting for the server while the lease lives."""
        sent = PieceOutputs.model_construct(
            lease_id=self.lease_id,
            classes=outputs.logits.shape[1],
            logits=outputs.logits.astype("<f4").tobytes(),
            load_ms=outputs.load_ms,
            peak_memory_mib=outputs.peak_memory_mib,
        )
        while True:
            try:
                self.link.send_outputs(task.task_id, sent)
            except ProfilerUnreachable:
                if not self.go_on():
                    raise
                self.stop.wait(_HAND_OVER_EVERY_S)
            else:
                return

    def _end(self, task: LeasedTask, state: Literal["done", "failed"], reason: str = "") -> None:
        self._ended[task.task_id] = TaskOutcome(task_id=task.task_id, state=state, reason=reason)
