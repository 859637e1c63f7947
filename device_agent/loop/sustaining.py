"""Subjects of a lease that run without pause: how fast they stay as the device warms up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from device_agent.loop.model_files import WrongContent
from device_agent.loop.one_by_one import OneByOne
from device_agent.loop.so_far import SoFar
from device_agent.measuring.device import VisitResult
from device_agent.measuring.fitness import Fitness
from device_agent.runners.base import Measured
from netspec.wire import (
    MAX_WINDOWS,
    WINDOW_S,
    LeasedTask,
    ModelSubject,
    SustainedSubject,
    Window,
    WindowsUpload,
)

_US_PER_MS = 1000
_S_PER_MINUTE = 60


class Sustaining(OneByOne):
    """Runs one subject after the other, each from a device that is as fit as for a visit."""

    stage = "running without pause"

    def steps(self, task: LeasedTask) -> int:
        """Windows that the task takes."""
        subject = task.subject
        minutes = subject.minutes if isinstance(subject, SustainedSubject) else 0.0
        return math.ceil(minutes * _S_PER_MINUTE / WINDOW_S)

    def do(self, task: LeasedTask) -> Callable[[], None] | None:
        """The subject's windows."""
        subject = task.subject
        if not isinstance(subject, SustainedSubject):
            raise WrongContent(f"{subject.name} does not run without pause; update the agent")
        device, wanted = self.bench.device, partial(self.wanted, task)
        model = self.bench.models.path(subject)
        device.prepare({model})
        try:
            Fitness(device, self.bench.protocol, wanted).wait(None)
            results = device.sustain(
                model,
                subject.minutes * _S_PER_MINUTE,
                wanted,
                allow_partial=isinstance(subject.subject, ModelSubject),
            )
            windows: list[Window] = []
            first: VisitResult | None = None
            with SoFar(partial(self.bench.link.send_windows, task.task_id)) as so_far:
                for result in results:
                    first = first or result
                    windows.append(
                        _window(result, (result.started_at - first.started_at).total_seconds())
                    )
                    so_far.tell(self._upload(windows, is_partial=True))
                    if len(windows) <= self.steps(task):
                        self.bench.progress.advance()
        finally:
            device.rest()
        # Of a device that was needed for something else in the middle, nothing tells the end.
        if not windows or not wanted():
            return None
        upload = self._upload(windows)
        return partial(self.bench.link.send_windows, task.task_id, upload)

    def _upload(self, windows: Sequence[Window], *, is_partial: bool = False) -> WindowsUpload:
        return WindowsUpload(
            lease_id=self.lease_id,
            windows=tuple(windows[:MAX_WINDOWS]),
            is_partial=is_partial,
        )


def _window(result: VisitResult, at_s: float) -> Window:
    """One launch as a window.

    Raises:
        VisitFailed: it gave no number.
    """
    if not isinstance(result.outcome, Measured):
        raise result.outcome
    runs, after = result.outcome.statistics, result.after
    return Window(
        at_s=max(at_s, 0.0),
        runs=runs.count,
        p5_ms=runs.p5_us / _US_PER_MS,
        median_ms=runs.median_us / _US_PER_MS,
        p95_ms=runs.p95_us / _US_PER_MS,
        cpu_mhz=after.cpu_mhz,
        cpu_celsius=after.cpu_celsius,
        battery_celsius=after.battery_celsius,
        thermal_status=after.thermal_status,
        busy_share=after.busy_share,
    )
