"""The evaluations of a lease: models on test images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from device_agent.loop.model_files import WrongContent
from device_agent.loop.one_by_one import OneByOne
from netspec.images import Images, unpack
from netspec.wire import EvaluationSubject, LeasedTask, PieceOutputs


class Evaluating(OneByOne):
    """Runs a model on the images of one piece after the other."""

    stage = "evaluating"

    def do(self, task: LeasedTask) -> Callable[[], None] | None:
        """What a piece's images give."""
        subject = task.subject
        if not isinstance(subject, EvaluationSubject):
            raise WrongContent(f"{subject.name} is no evaluation; update the agent")
        images = self._images(subject)
        outputs = self.bench.device.evaluate(
            self.bench.models.path(subject), images, partial(self.wanted, task)
        )
        self.bench.progress.advance()
        if outputs is None:
            return None
        sent = PieceOutputs.model_construct(
            lease_id=self.lease_id,
            classes=outputs.logits.shape[1],
            logits=outputs.logits.astype("<f4").tobytes(),
            load_ms=outputs.load_ms,
            peak_memory_mib=outputs.peak_memory_mib,
        )
        return partial(self.bench.link.send_outputs, task.task_id, sent)

    def _images(self, subject: EvaluationSubject) -> Images:
        """The piece's images.

        Raises:
            WrongContent: the server sent others, or other many than there are labels.
            BadImages: they cannot be read.
            ProfilerRefused: the server does not have them.
        """
        wanted, labels = subject.piece.images, subject.piece.labels
        content = self.bench.link.images(wanted)
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
