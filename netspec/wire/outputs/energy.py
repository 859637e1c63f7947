"""Energy of an inference: counters' differences over windows, and what these come to.

A round is a window in which nothing runs, a launch with hardly a run, and a long launch. What the
two launches take beyond idling differs by the runs that the long one has more; what a launch takes
by itself, loading the model, is in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from netspec.protocol import Sha256, Text
from netspec.wire.message import Count, ListQuery, Message

#: a window that is shorter, or a long launch with fewer runs, tells too little
LEAST_WINDOW_S = 2.0
LEAST_RUNS = 200
#: of a task: with fewer, the least and the greatest are no 95 % interval of a median
LEAST_ROUNDS = 6
MOST_ROUNDS = 50
#: share of what the runs take that idling may change in a round
_MOST_CHANGE = 0.02
#: and that the counter's steps may leave open. All ends of windows are off alike, so that only
#: chance is left of it, which the interval over rounds shows
MOST_OPEN = 0.05
#: what runs take must be more than this share of what idling takes meanwhile, or it is nothing
_LEAST_SHARE = 0.02
#: share of the rounds that must be good
_LEAST_GOOD = 0.5
#: chance that the interval leaves the median out
_LEVEL = 0.05

EnergyMethod = Literal["odpm", "power_stats", "fuel_gauge", "hwmon", "rapl"]
Millijoules = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
RailName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:/-]+$")]
#: seconds of a window
WindowSeconds = Annotated[float, Field(ge=LEAST_WINDOW_S, le=60)]
Rounds = Annotated[int, Field(ge=LEAST_ROUNDS, le=MOST_ROUNDS)]


class EnergyUnclear(Exception):
    """Windows tell no energy; the text says why."""


class EnergyMeter(Message):
    """By what energy was counted; values by different meters are never added or compared.

    `odpm`: rails of a phone's power monitor; `power_stats`: the same as Android's service tells
    them; `fuel_gauge`: the battery's charge counter times its voltage; `hwmon`: counters of energy
    of a board's sensors; `rapl`: domains of a processor.
    """

    method: EnergyMethod
    #: that were added up, in the order of their names
    rails: Annotated[tuple[RailName, ...], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _is_short(self) -> EnergyMeter:
        if len(self.name) > 200:  # noqa: PLR2004 - what a text of ours may have
            raise ValueError("the rails' names have more than 200 characters together; name fewer")
        if list(self.rails) != sorted(set(self.rails)):
            raise ValueError("name each rail once, in the order of their names")
        return self

    @property
    def name(self) -> str:
        """Method and rails in a line."""
        return f"{self.method} {'+'.join(self.rails)}"


class EnergyWindow(Message):
    """What counters rose by between two of their steps."""

    #: in it, those that warm up among them; 0: nothing ran
    runs: Count
    seconds: Annotated[_Seconds, Field(gt=0)]
    #: None: the counter was set back
    energy_mj: Millijoules | None
    #: by how much its begin and end may be off from the counter's steps, together
    open_s: _Seconds

    @property
    def power_mw(self) -> float | None:
        """Mean power, mW; None: not known."""
        return None if self.energy_mj is None else self.energy_mj / self.seconds


class EnergyRound(Message):
    """Nothing runs, then a launch with hardly a run, then a long one."""

    idle: EnergyWindow
    brief: EnergyWindow
    long: EnergyWindow


class EnergyEstimate(Message):
    """Energy of an inference, beyond what the device takes while nothing runs."""

    value_mj: Millijoules
    #: interval of the median over rounds that holds it in 95 % of cases, whatever their law
    low_mj: Millijoules
    high_mj: Millijoules
    #: that count
    rounds: int
    #: in the long launches of these
    runs: int
    #: while nothing ran, median over rounds
    idle_mw: float

    @classmethod
    def of(cls, rounds: Sequence[EnergyRound], last_idle: EnergyWindow) -> EnergyEstimate:
        """What rounds come to.

        Args:
            rounds: in their order, right after each other.
            last_idle: the window after the last of them, in which nothing ran.

        Raises:
            EnergyUnclear: they tell no energy, or none that could be relied on.
        """
        idles = [*(one.idle for one in rounds), last_idle]
        good: list[float] = []
        counted: list[EnergyRound] = []
        faults: list[str] = []
        for one, (before, after) in zip(rounds, pairwise(idles), strict=True):
            _check_windows(one)
            found = _of_round(one, before, after)
            if isinstance(found, str):
                faults.append(found)
            else:
                good.append(found)
                counted.append(one)
        if len(good) < max(LEAST_ROUNDS, math.ceil(_LEAST_GOOD * len(rounds))):
            raise EnergyUnclear(
                f"only {len(good)} of {len(rounds)} rounds are good; in the others "
                f"{'; or '.join(sorted(set(faults)))}"
            )
        value = median(good)
        if value <= 0:
            raise EnergyUnclear(
                "the runs take no more than nothing takes: these rails are not those of what runs "
                "the model, or the counter is too coarse"
            )
        low, high = _median_interval(good)
        return cls(
            value_mj=value,
            low_mj=max(low, 0.0),
            high_mj=high,
            rounds=len(good),
            runs=sum(one.long.runs for one in counted),
            idle_mw=median(one.idle.power_mw or 0.0 for one in counted),
        )


def _check_windows(one: EnergyRound) -> None:
    long = one.long
    if long.runs < LEAST_RUNS or min(long.seconds, one.idle.seconds) < LEAST_WINDOW_S:
        raise EnergyUnclear(
            f"a window of {min(long.seconds, one.idle.seconds):.2g} s and {long.runs} runs tells "
            f"too little: at least {LEAST_WINDOW_S:g} s and {LEAST_RUNS} runs are needed"
        )
    if one.idle.runs or one.brief.runs >= long.runs:
        raise EnergyUnclear("a window has runs that should have none, or fewer")


def _of_round(one: EnergyRound, before: EnergyWindow, after: EnergyWindow) -> float | str:
    """Energy of a run, mJ, or why the round tells none."""
    brief, long = one.brief, one.long
    first_mw, last_mw = before.power_mw, after.power_mw
    if first_mw is None or last_mw is None or brief.energy_mj is None or long.energy_mj is None:
        return "the counter was set back"
    # Idling drifts as the device warms up: in a line from the middle of one window to the next.
    way_s = before.seconds / 2 + brief.seconds + long.seconds + after.seconds / 2
    slope = (last_mw - first_mw) / way_s
    brief_at_s = before.seconds / 2 + brief.seconds / 2
    long_at_s = before.seconds / 2 + brief.seconds + long.seconds / 2
    brief_mj = brief.energy_mj - (first_mw + slope * brief_at_s) * brief.seconds
    long_mj = long.energy_mj - (first_mw + slope * long_at_s) * long.seconds
    net_mj = long_mj - brief_mj
    if net_mj <= _LEAST_SHARE * max(first_mw, last_mw) * long.seconds:
        return 0.0
    if abs(last_mw - first_mw) * long.seconds / 2 > _MOST_CHANGE * net_mj:
        return (
            "what the device takes while nothing runs changed by more than "
            f"{_MOST_CHANGE:.0%} of what the runs take: let it rest, or ask for more windows"
        )
    open_s = brief.open_s + long.open_s + long.seconds * _open_share(before, after)
    if max(first_mw, last_mw) * open_s > MOST_OPEN * net_mj:
        return (
            f"the counter is too coarse: its steps leave more than {MOST_OPEN:.0%} of what the "
            "runs take open; ask for longer windows"
        )
    return net_mj / (long.runs - brief.runs)


def _open_share(before: EnergyWindow, after: EnergyWindow) -> float:
    """What the ends of the idle windows leave open of their power, as a share."""
    return (before.open_s / before.seconds + after.open_s / after.seconds) / 2


def _median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The narrowest pair of the values, alike from either end, that is a 95 % interval.

    The median is below the k-th least of n with the probability that at most k - 1 of n are below
    it, which a fair coin tells.
    """
    ordered, count = sorted(values), len(values)
    left, below = 0, 0.0
    while True:
        below += math.comb(count, left) / 2**count
        if 2 * below > _LEVEL:
            break
        left += 1
    left = max(left - 1, 0)
    return ordered[left], ordered[count - 1 - left]


class EnergyUpload(Message):
    """What a task's windows gave, as its agent sends it."""

    #: under which they were made
    lease_id: Text
    meter: EnergyMeter
    rounds: Annotated[
        tuple[EnergyRound, ...], Field(min_length=LEAST_ROUNDS, max_length=MOST_ROUNDS)
    ]
    last_idle: EnergyWindow


class EnergyValue(EnergyEstimate):
    """Energy of an inference of one subject on one target, by one meter."""

    meter: EnergyMeter
    measured_at: AwareDatetime
    #: that measured it, the latest measurement of each counts
    devices: int = 1


class EnergyEntry(Message):
    """What a target's devices take for a subject."""

    subject_hash: Sha256
    kind: Literal["operator", "network", "model"]
    #: an operator's canonical key, a network's or model's name
    name: str
    energy: EnergyValue


class EnergyQuery(ListQuery):
    """Which energies of a target, and in which order."""

    kind: Annotated[
        Literal["operator", "network", "model"] | None, Field(description="Of these alone")
    ] = None
    meter: Annotated[Text | None, Field(description="By this meter's name alone")] = None
    sort: Annotated[
        Literal["name", "-name", "measured_at", "-measured_at"],
        Field(description="By what; `-`: greatest first"),
    ] = "name"


class EnergyRequest(Message):
    """Measure what is named by the energy of an inference, not by its latency."""

    #: of each subject
    windows: Rounds = 10
    #: of each window, at least; a coarse counter needs longer ones
    seconds: WindowSeconds = LEAST_WINDOW_S
