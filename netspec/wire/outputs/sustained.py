"""How fast a subject stays when it runs without pause, until the device is as warm as it gets."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from statistics import median
from typing import Annotated

from pydantic import AwareDatetime, Field

from netspec.protocol import TargetId, Text
from netspec.wire.message import Count, Message, Milliseconds
from netspec.wire.subjects import Minutes, ModelSubject, NetworkSubject, SustainedSubject

#: of a window, s; a runner may end one earlier that has made very many runs
WINDOW_S = 10.0
#: of one task
MAX_WINDOWS = 2_000
#: the device as it is found, s
_BEGINNING_S = 60.0
#: the last part of the windows that tells the steady state, at least so many
_STEADY_SHARE, _STEADY_WINDOWS = 1 / 3, 4
#: slower than in the first minute by this, in two windows in a row: it throttles
THROTTLED = 1.05
#: halves of the steady part that differ by no more say the same
_SETTLED = 1.03


class SustainedRequest(Message):
    """Run a network or an uploaded model without pause, and keep how fast it is on the way."""

    subject: Annotated[NetworkSubject | ModelSubject, Field(discriminator="kind")]
    minutes: Minutes = 10.0

    @property
    def windows(self) -> int:
        """How many windows that takes."""
        return math.ceil(60 * self.minutes / WINDOW_S)

    def task_subject(self) -> SustainedSubject:
        """What its task is about."""
        return SustainedSubject(subject=self.subject, minutes=self.minutes)


class Window(Message):
    """Runs without pause, for `WINDOW_S` or nearly; None where the device does not say.

    Windows follow each other but for the time that a launch takes: each is one.
    """

    #: from the begin of the first window, s
    at_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    runs: Annotated[Count, Field(ge=1)]
    p5_ms: Milliseconds
    median_ms: Milliseconds
    p95_ms: Milliseconds
    #: clock of the core measured on, at the window's end, MHz
    cpu_mhz: float | None = None
    #: greatest CPU temperature at the window's end, degrees Celsius
    cpu_celsius: float | None = None
    battery_celsius: float | None = None
    #: Android's, 0 is none
    thermal_status: int | None = None
    #: share of the core's time that others took during the window
    busy_share: float | None = None


class WindowsUpload(Message):
    """What a task's runs without pause were like, as its agent sends it."""

    #: under which they were made
    lease_id: Text
    windows: Annotated[tuple[Window, ...], Field(min_length=1, max_length=MAX_WINDOWS)]
    #: they are those of a run that goes on, from its begin, and replace what was sent before; not
    #: sent where it is false: servers of before do not know it
    is_partial: Annotated[bool, Field(exclude_if=operator.not_)] = False


class SpeedOverTime(Message):
    """What the windows come to."""

    #: median over the windows that begin in the first minute
    first_minute_ms: Milliseconds
    #: median over the last third of the windows
    steady_ms: Milliseconds
    #: whether the halves of that third agree within 3 %; else it was still changing at the end
    settled: bool
    #: begin of the first of two windows in a row that are slower than the first minute by 5 %, or
    #: of the first one with a thermal status above 0; None: neither came
    throttled_after_s: float | None
    #: of the first minute's speed, in percent; below 0 where it became faster
    lost_percent: float

    @classmethod
    def of(cls, windows: Sequence[Window]) -> SpeedOverTime:
        """What at least one window comes to."""
        beginning = [one.median_ms for one in windows if one.at_s < _BEGINNING_S]
        first = median(beginning or [windows[0].median_ms])
        count = min(max(_STEADY_WINDOWS, round(_STEADY_SHARE * len(windows))), len(windows))
        last = [one.median_ms for one in windows[-count:]]
        steady = median(last)
        halves = (median(last[: (count + 1) // 2]), median(last[count // 2 :]))
        return cls(
            first_minute_ms=first,
            steady_ms=steady,
            settled=max(halves) <= _SETTLED * min(halves),
            throttled_after_s=_throttled_after_s(windows, THROTTLED * first),
            lost_percent=100 * (1 - first / steady) if steady else 0.0,
        )


class SustainedSpeed(Message):
    """A job that runs a subject without pause, and what it has found."""

    job_id: Text
    target_id: TargetId
    subject: Annotated[NetworkSubject | ModelSubject, Field(discriminator="kind")]
    minutes: float
    #: that runs it, and when the last windows came; None: there are none yet
    device_id: Text | None
    stored_at: AwareDatetime | None
    speed: SpeedOverTime | None
    windows: tuple[Window, ...]
    #: the windows are of a run that is not over, or that was broken off
    is_partial: Annotated[bool, Field(exclude_if=operator.not_)] = False


def _throttled_after_s(windows: Sequence[Window], slow_ms: float) -> float | None:
    for index, window in enumerate(windows):
        following = windows[index : index + 2]
        slow = len(following) > 1 and all(one.median_ms > slow_ms for one in following)
        if slow or (window.thermal_status or 0) > 0:
            return window.at_s
    return None
