"""What a visit's raw text tells of its launch, beside the runs that were timed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from netspec.delegation import Delegation

_NS_PER_MS = 1_000_000
_US_PER_MS = 1_000
_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
#: of ns, us or bytes: beyond, a text is none that a runner printed
_MOST = 2**53
_Whole = Annotated[int, Field(ge=0, le=_MOST)]
#: how the TFLite tool, in us, and the LiteRT tool, in ms, print both times
_LOADS = (
    (re.compile(rf"timings in us:.*?\bInit: {_NUMBER}"), _US_PER_MS),
    (re.compile(rf"Model initialization: +{_NUMBER} ms"), 1),
)
_FIRSTS = (
    (re.compile(rf"timings in us:.*?\bFirst inference: {_NUMBER}"), _US_PER_MS),
    (re.compile(rf"Warmup \(first\): +{_NUMBER} ms"), 1),
)
#: what the TFLite tool's peak resident memory grew by, MB of 2^20 bytes, from its start to its end.
#: Both are `getrusage`'s, which costs the runs nothing; source: tensorflow/lite/profiling/
#: memory_info.cc. It prints 0 on systems that do not say.
_PEAK = re.compile(rf"Memory footprint delta from the start .*?\(MB\): .*?overall={_NUMBER}")
_BYTES_PER_MB = 2**20
#: where all of the graph was wanted, a phone's raw text begins with the proof of who ran it
_PROOFS: tuple[tuple[re.Pattern[str], Delegation], ...] = (
    (re.compile(r"no delegate"), "none"),
    (re.compile(r"Replacing |.*completely executed by"), "full"),
)


@dataclass(frozen=True)
class Launch:
    """How a model was loaded, what it took, and who ran it; None where the runner does not say."""

    #: from the file to a model that is ready to run, ms
    load_ms: float | None = None
    #: the very first inference, ms
    first_inference_ms: float | None = None
    #: how much of the graph the target's delegate runs
    delegation: Delegation | None = None
    #: of the graph
    operators: int | None = None
    #: those that the delegate runs
    delegated: int | None = None
    #: kinds of the others, and how many there are of each; empty where they are not named
    undelegated: dict[str, int] = field(default_factory=dict)
    #: why there is no profile of kernels though one was wanted
    no_profile: str = ""
    #: by which its process's peak resident memory grew, from before the model was loaded until it
    #: had run; what a GPU keeps in memory of its own is not in it
    peak_memory_bytes: int | None = None


def read_launch(raw: str) -> Launch:
    """What the raw text of one visit tells of its launch.

    Args:
        raw: its first line is the JSON of this project's LiteRT runner or of a phone's agent, or a
            phone's proof of delegation; on phones, what `benchmark_model` printed follows. Any
            other text tells nothing.
    """
    first_line = raw.partition("\n")[0]
    told = _told(first_line)
    peak = told.peak_memory_bytes
    proved = (delegation for proof, delegation in _PROOFS if proof.match(first_line))
    delegated = told.delegated
    if delegated is None and told.operators is not None:
        delegated = told.operators - sum(told.undelegated.values())
    return Launch(
        load_ms=_ms(told.load_ns) or _first_ms(_LOADS, raw),
        first_inference_ms=_ms(told.first_run_ns) or _first_ms(_FIRSTS, raw),
        delegation=told.delegation or next(proved, None),
        operators=told.operators,
        delegated=delegated,
        undelegated=told.undelegated,
        no_profile=told.no_profile,
        peak_memory_bytes=_printed_peak(raw) if peak is None else peak,
    )


def typical_launch(launches: Iterable[Launch]) -> Launch:
    """The medians over launches of one model, and who ran it, where all of them say the same."""
    every = tuple(launches)
    alike = len({launch.delegation for launch in every}) == 1
    # One that was profiled may name what another one cannot.
    telling = max(every, key=lambda launch: len(launch.undelegated)) if alike else Launch()
    peak = _median(launch.peak_memory_bytes for launch in every)
    return Launch(
        load_ms=_median(launch.load_ms for launch in every),
        first_inference_ms=_median(launch.first_inference_ms for launch in every),
        peak_memory_bytes=None if peak is None else round(peak),
        delegation=telling.delegation,
        operators=telling.operators,
        delegated=telling.delegated,
        undelegated=telling.undelegated,
        no_profile=next((launch.no_profile for launch in every if launch.no_profile), ""),
    )


def delegation_text(delegate: str, launch: Launch) -> str:
    """For people: who ran the graph; empty where that is not known.

    Args:
        delegate: of the target.
        launch: of the model.
    """
    match launch.delegation:
        case None:
            return ""
        case "full":
            return f"{delegate} runs the whole graph"
        case "none":
            return "no delegate runs any of the graph"
    text = f"{delegate} runs a part of the graph"
    if launch.operators and launch.delegated is not None:
        others = launch.operators - launch.delegated
        text += f": {others} of {launch.operators} operators ({others / launch.operators:.0%}) are "
        text += "left to other kernels"
    kinds = (f"{count} {kind}" for kind, count in launch.undelegated.items())
    return f"{text}: {', '.join(kinds)}" if launch.undelegated else text


class _Told(BaseModel):
    """The first line of a raw text, where it is JSON; whatever else stands there is another's."""

    model_config = ConfigDict(extra="ignore", strict=True)

    load_ns: _Whole | None = None
    first_run_ns: _Whole | None = None
    delegation: Delegation | None = None
    operators: NonNegativeInt | None = None
    delegated: NonNegativeInt | None = None
    undelegated: dict[str, PositiveInt] = {}
    no_profile: str = ""
    peak_memory_bytes: _Whole | None = None


def _told(line: str) -> _Told:
    try:
        return _Told.model_validate_json(line)
    except ValidationError:
        return _Told()


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / _NS_PER_MS


def _first_ms(patterns: Iterable[tuple[re.Pattern[str], int]], raw: str) -> float | None:
    for pattern, per_ms in patterns:
        match = pattern.search(raw)
        if match is not None and float(match[1]) <= _MOST:
            return float(match[1]) / per_ms
    return None


def _printed_peak(raw: str) -> int | None:
    match = _PEAK.search(raw)
    printed = float(match[1]) * _BYTES_PER_MB if match else 0.0
    return round(printed) if 0 < printed <= _MOST else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
