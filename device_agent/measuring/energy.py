"""Energy from counters: how they are read, and how their readings become windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal, Protocol

from device_agent.errors import VisitFailed
from netspec.protocol import MeasurementProtocol
from netspec.wire import (
    LEAST_RUNS,
    LEAST_WINDOW_S,
    MOST_OPEN,
    EnergyMeter,
    EnergyRound,
    EnergySubject,
    EnergyUnclear,
    EnergyUpload,
    EnergyWindow,
)

#: windows of a round: nothing runs, a launch with hardly a run, a long launch
WINDOWS = 3
#: runs of the launch that tells how long windows must be
_TRIAL_RUNS = 10
_MS_PER_S = 1000
#: of runs in a long launch
_MOST_RUNS = 100_000

#: by what energy is counted; `auto`: by the finest counter whose rails are known
EnergySource = Literal["auto", "off", "odpm", "power_stats", "fuel_gauge", "hwmon", "rapl"]


@dataclass(frozen=True)
class EnergyChoice:
    """What the user chose of how energy is counted."""

    source: EnergySource = "auto"
    #: to add up; none: those that are known of the processor
    rails: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Counters at one of their steps: only then is what they say true to a moment."""

    #: by a clock that goes on while the device sleeps, s
    at_s: float
    #: of each counter, in its own unit
    values: Sequence[float]
    #: before the step by at most so much the counter was looked at and had not stepped, s
    open_s: float


class Counter(Protocol):
    """Counters that are added up."""

    @property
    def meter(self) -> EnergyMeter:
        """What they are."""

    def difference_mj(self, before: Sequence[float], after: Sequence[float]) -> float | None:
        """Energy between two readings, mJ; None: a counter was set back in between."""


@dataclass(frozen=True)
class RailCounters:
    """Counters of energy that only rise, until they wrap."""

    meter: EnergyMeter
    #: mJ of a count
    unit_mj: float = 1e-3
    #: at how many counts each begins anew; none: it is not known
    ranges: Sequence[float] = field(default=())

    def difference_mj(self, before: Sequence[float], after: Sequence[float]) -> float | None:
        """See `Counter`."""
        total = 0.0
        for index, (first, last) in enumerate(zip(before, after, strict=True)):
            counts = last - first
            if counts < 0 and self.ranges:
                counts += self.ranges[index]
            if counts < 0:
                return None
            total += counts * self.unit_mj
        return total


def trial_protocol(protocol: MeasurementProtocol) -> MeasurementProtocol:
    """The numbers of the first launch, which tells how long a run takes."""
    return protocol.model_copy(
        update={"warmup_ms": 0.0, "measure_ms": 1.0, "min_runs": _TRIAL_RUNS}
    )


def brief_protocol(protocol: MeasurementProtocol) -> MeasurementProtocol:
    """The numbers of a launch with hardly a run: what it takes is the launch's own."""
    return protocol.model_copy(
        update={"warmup_ms": 0.0, "measure_ms": 1e-3, "min_runs": 1, "max_runs": 1}
    )


def long_protocol(protocol: MeasurementProtocol, seconds: float) -> MeasurementProtocol:
    """The numbers of a long launch."""
    return protocol.model_copy(
        update={
            "warmup_ms": 0.0,
            "measure_ms": 1000 * seconds,
            "min_runs": LEAST_RUNS,
            "max_runs": _MOST_RUNS,
        }
    )


def idle_s(subject: EnergySubject, run_us: float) -> float:
    """How long nothing is to run in a window: as long as the long launch beside it, s.

    Args:
        subject: says how long windows are at least.
        run_us: of one run.
    """
    return max(subject.seconds, LEAST_WINDOW_S, LEAST_RUNS * run_us / 1e6)


def upload_of(
    lease_id: str, counter: Counter, readings: Sequence[Reading], runs: Sequence[int]
) -> EnergyUpload:
    """The readings before, between and after windows as rounds.

    Args:
        lease_id: under which they were made.
        counter: that was read.
        readings: one more than windows; a window ends where the next one begins.
        runs: of each window: rounds of `WINDOWS`, and one more in which nothing ran.

    Raises:
        VisitFailed: they tell no energy.
    """
    windows = [
        EnergyWindow(
            runs=count,
            seconds=after.at_s - before.at_s,
            energy_mj=counter.difference_mj(before.values, after.values),
            open_s=before.open_s + after.open_s,
        )
        for before, after, count in zip(readings[:-1], readings[1:], runs, strict=True)
    ]
    *parts, last = windows
    rounds = tuple(
        EnergyRound(idle=idle, brief=brief, long=long)
        for idle, brief, long in zip(
            parts[::WINDOWS], parts[1::WINDOWS], parts[2::WINDOWS], strict=True
        )
    )
    return EnergyUpload(lease_id=lease_id, meter=counter.meter, rounds=rounds, last_idle=last)


@dataclass(frozen=True)
class Resolution:
    """How finely a counter tells energy, by readings that were taken right after each other."""

    meter: str
    #: between its steps, median
    period_s: float
    #: by which the begin or end of a window may be off, at most
    open_s: float

    @classmethod
    def of(cls, counter: Counter, readings: Sequence[Reading]) -> Resolution:
        """What at least two readings tell."""
        periods = [after.at_s - before.at_s for before, after in pairwise(readings)]
        return cls(counter.meter.name, median(periods), max(one.open_s for one in readings))

    @property
    def share(self) -> float:
        """What it leaves open of the shortest window."""
        return 2 * self.open_s / LEAST_WINDOW_S

    @property
    def fine_s(self) -> float:
        """Length of the windows of which it leaves little open."""
        return 2 * self.open_s / MOST_OPEN

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.meter} steps every {_MS_PER_S * self.period_s:.3g} ms, which leaves "
            f"{self.share:.1%} of a window of {LEAST_WINDOW_S:g} s open"
        )


class NoEnergy(VisitFailed):
    """The device told no energy that could be relied on."""

    @classmethod
    def because(cls, error: EnergyUnclear) -> NoEnergy:
        """Of windows that tell none."""
        return cls(str(error))
