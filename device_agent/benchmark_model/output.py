"""What `benchmark_model` prints, in all its eras.

Both programs of the name print a line of statistics after each phase, in microseconds:

    [prefix] count=50 first=266 curr=266 min=265 max=268 avg=266.473 std=4 p5=265 median=266 p95=267

Old versions have no percentiles; one run prints `count=1 curr=266`, identical runs print
`count=5 curr=266(all same)`. The first phase warms up, the last one measures. The summary of the
oldest TFLite tool was `Average inference timings in us: Warmup: .., Init: .., no stats: ..`; the
LiteRT tool prints its own in ms with two decimals, too coarse to use.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from device_agent.errors import FlagIgnored, NoPercentiles, UnparsableOutput
from netspec.statistics import VisitStatistics

#: a count, or what C++ streams print of a double: `266`, `266.473`, `1.23457e+06`
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_COUNT_LINE = re.compile(
    # Op profiles end in a line of their own that counts, too.
    rf"(?<!\(microseconds\): )\bcount=(?P<count>[0-9]+) "
    rf"(?:first={_NUMBER} )?curr=(?P<curr>{_NUMBER})"
    rf"(?P<same>\(all same\))?(?P<rest>(?: [a-z0-9]+={_NUMBER})*)\s*$",
    re.MULTILINE,
)
_HEADING = re.compile(r"Running benchmark for (?:at least )?[0-9]+ iterations")
#: a warm-up and a measured one: the agent always asks for both
_PHASES = 2
_UNCONSUMED = re.compile(r"Unconsumed cmdline flags:(?P<flags>[^\n]*)")
_SUMMARY = re.compile(
    rf"Inference timings in us: Init: (?P<init>{_NUMBER}), First inference: (?P<first>{_NUMBER}), "
    rf"Warmup \(avg\): (?P<warmup>{_NUMBER}), Inference \(avg\): (?P<inference>{_NUMBER})"
)
_OLD_SUMMARY = re.compile(
    rf"Average inference timings in us: Warmup: (?P<warmup>{_NUMBER}), Init: (?P<init>{_NUMBER}), "
    rf"no stats: (?P<inference>{_NUMBER})"
)
_LITERT_SUMMARY = re.compile(
    r"Inference \(avg\): +(?P<inference>[0-9.]+) ms \((?P<runs>[0-9]+) runs\)"
)
#: its two decimals of a ms
_LITERT_AGREE_US = 5.5
#: two sides of one number, each printed with six digits, or truncated to whole us
_AGREE_RELATIVE = 2e-5
_AGREE_US = 1.0

Era = Literal["percentiles", "no_percentiles", "oldest"]


@dataclass(frozen=True)
class Phase:
    """The runs of one phase, in us; None where this version does not print it."""

    count: int
    min_us: float
    max_us: float
    mean_us: float
    #: truncated to whole us by the tool
    std_us: float
    p5_us: float | None
    median_us: float | None
    p95_us: float | None

    @property
    def total_us(self) -> float:
        """Time inside the phase's runs."""
        return self.count * self.mean_us


@dataclass(frozen=True)
class ToolOutput:
    """What one launch of the tool said."""

    era: Era
    warmup: Phase
    measured: Phase
    #: time to load the model, us
    init_us: float | None

    def statistics(self) -> VisitStatistics:
        """The measured runs as a visit's statistics.

        Raises:
            NoPercentiles: the tool is too old to print any, and its runs differ. An entry is an
                estimate over 5th percentiles; a minimum or a mean in their place would mix
                two quantities in one table.
        """
        phase = self.measured
        if phase.p5_us is None or phase.median_us is None or phase.p95_us is None:
            raise NoPercentiles(
                "this benchmark_model is too old to print percentiles, which entries are "
                "estimated from; fetch a current one with `device-agent runner fetch`"
            )
        return VisitStatistics(
            count=phase.count,
            min_us=phase.min_us,
            p5_us=phase.p5_us,
            median_us=phase.median_us,
            p95_us=phase.p95_us,
            mean_us=phase.mean_us,
            std_us=phase.std_us,
        )


def parse_output(text: str) -> ToolOutput:
    """Parses standard output and standard error of one launch, merged.

    Raises:
        FlagIgnored: the tool does not know a flag and went on without it.
        UnparsableOutput: anything else than an era's complete output; carries the text.
    """
    ignored = _UNCONSUMED.search(text)
    if ignored:
        raise FlagIgnored(
            f"benchmark_model ignored the flag {ignored['flags'].strip() or '(unnamed)'}, so what "
            "it measured is not what was asked; fetch another version"
        )
    phases = [_phase(match, text) for match in _COUNT_LINE.finditer(text)]
    headings = len(_HEADING.findall(text))
    if len(phases) != headings or headings != _PHASES:
        what = f"benchmark_model announced {headings} phases and finished {len(phases)}"
        if not headings:
            what = "benchmark_model ended before it measured anything"
        raise UnparsableOutput(f"{what}, expected a warm-up and a measured one", text)
    warmup, measured = phases
    old = _OLD_SUMMARY.search(text)
    summary = old or _SUMMARY.search(text)
    if summary is not None:
        _check_summary(float(summary["inference"]), measured, text, _AGREE_US)
    else:
        _check_litert_summary(measured, text)
    percentiles = measured.p5_us is not None
    return ToolOutput(
        era="oldest" if old else "percentiles" if percentiles else "no_percentiles",
        warmup=warmup,
        measured=measured,
        init_us=None if summary is None else float(summary["init"]),
    )


def _phase(match: re.Match[str], text: str) -> Phase:
    count, current = int(match["count"]), float(match["curr"])
    rest = dict(pair.split("=") for pair in match["rest"].split())
    if count == 0:
        raise UnparsableOutput("benchmark_model counted no run", text)
    if match["same"] or count == 1:
        return Phase(count, current, current, current, 0.0, current, current, current)
    try:
        values = {name: float(value) for name, value in rest.items()}
        phase = Phase(
            count=count,
            min_us=values.pop("min"),
            max_us=values.pop("max"),
            mean_us=values.pop("avg"),
            std_us=values.pop("std"),
            p5_us=values.pop("p5", None),
            median_us=values.pop("median", None),
            p95_us=values.pop("p95", None),
        )
    except KeyError as error:
        raise UnparsableOutput(f"no {error} in {match[0]!r}", text) from error
    if values:
        raise UnparsableOutput(f"unknown statistics {', '.join(values)} in {match[0]!r}", text)
    _check_order(phase, match[0], text)
    return phase


def _check_order(phase: Phase, line: str, text: str) -> None:
    """Statistics that contradict each other are no statistics."""
    ladder = [phase.min_us, phase.p5_us, phase.median_us, phase.p95_us, phase.max_us]
    steps = [step for step in ladder if step is not None]
    slack = _AGREE_US + _AGREE_RELATIVE * phase.max_us
    in_order = all(low <= high for low, high in itertools.pairwise(steps))
    if not in_order or not phase.min_us - slack <= phase.mean_us <= phase.max_us + slack:
        raise UnparsableOutput(f"the statistics contradict each other: {line!r}", text)


def _check_litert_summary(measured: Phase, text: str) -> None:
    summary = _LITERT_SUMMARY.search(text)
    if summary is None or int(summary["runs"]) != measured.count:
        raise UnparsableOutput("benchmark_model did not get to its summary", text)
    _check_summary(float(summary["inference"]) * 1000, measured, text, _LITERT_AGREE_US)


def _check_summary(mean_us: float, measured: Phase, text: str, slack_us: float) -> None:
    if abs(mean_us - measured.mean_us) > slack_us + _AGREE_RELATIVE * measured.mean_us:
        raise UnparsableOutput(
            f"the summary says {mean_us:g} us a run, the last phase {measured.mean_us:g} us", text
        )
