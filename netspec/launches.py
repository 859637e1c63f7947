"""What a visit's raw text tells of its launch, beside the runs that were timed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from netspec.delegation import Delegation

_NS_PER_MS = 1_000_000
_US_PER_MS = 1_000
_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
#: how the TFLite tool, in us, and the LiteRT tool, in ms, print both times
_LOADS = (
    (re.compile(rf"timings in us:.*?\bInit: {_NUMBER}"), _US_PER_MS),
    (re.compile(rf"Model initialization: +{_NUMBER} ms"), 1),
)
_FIRSTS = (
    (re.compile(rf"timings in us:.*?\bFirst inference: {_NUMBER}"), _US_PER_MS),
    (re.compile(rf"Warmup \(first\): +{_NUMBER} ms"), 1),
)
#: the first line of a phone's raw text says who ran the graph; anything else was refused there
_PROOFS: tuple[tuple[re.Pattern[str], Delegation], ...] = (
    (re.compile(r"no delegate"), "none"),
    (re.compile(r"Replacing |.*completely executed by"), "full"),
)


@dataclass(frozen=True)
class Launch:
    """How a model was loaded; None where the runner does not say."""

    #: from the file to a model that is ready to run, ms
    load_ms: float | None = None
    #: the very first inference, ms
    first_inference_ms: float | None = None
    #: how much of the graph the target's delegate runs
    delegation: Delegation | None = None


def read_launch(raw: str) -> Launch:
    """What the raw text of one visit tells of its launch.

    Args:
        raw: the JSON of this project's LiteRT runner, or the proof of delegation followed by what
            `benchmark_model` printed; any other text tells nothing.
    """
    if raw.startswith("{"):
        return _of_litert(raw)
    first_line = raw.partition("\n")[0]
    proved = (delegation for proof, delegation in _PROOFS if proof.match(first_line))
    return Launch(
        load_ms=_first_ms(_LOADS, raw),
        first_inference_ms=_first_ms(_FIRSTS, raw),
        delegation=next(proved, None),
    )


def typical_launch(launches: Iterable[Launch]) -> Launch:
    """The medians over launches of one model, and the delegation that all of them have."""
    every = tuple(launches)
    delegations = {launch.delegation for launch in every}
    return Launch(
        load_ms=_median(launch.load_ms for launch in every),
        first_inference_ms=_median(launch.first_inference_ms for launch in every),
        delegation=delegations.pop() if len(delegations) == 1 else None,
    )


def _of_litert(raw: str) -> Launch:
    try:
        visit = json.loads(raw)
    except ValueError:
        return Launch()
    load_ns, first_ns = visit.get("load_ns"), visit.get("first_run_ns")
    return Launch(
        load_ms=None if load_ns is None else load_ns / _NS_PER_MS,
        first_inference_ms=None if first_ns is None else first_ns / _NS_PER_MS,
        delegation=visit.get("delegation"),
    )


def _first_ms(patterns: Iterable[tuple[re.Pattern[str], int]], raw: str) -> float | None:
    for pattern, per_ms in patterns:
        match = pattern.search(raw)
        if match is not None:
            return float(match[1]) / per_ms
    return None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
