"""From what a script wrote on the phone to visits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from device_agent.benchmark_model.evidence import DelegationProof, check_backend, require_delegation
from device_agent.benchmark_model.failures import delegate_failure, ending, start_failure
from device_agent.benchmark_model.output import parse_output
from device_agent.benchmark_model.profile import undelegated
from device_agent.cpu_zones import zone_celsius
from device_agent.errors import (
    DelegateRefused,
    DeviceNotReady,
    NoPercentiles,
    RunnerFailed,
    RunnerNotStarted,
    VisitFailed,
)
from device_agent.measuring.device import VisitResult
from device_agent.phones.leftovers import Plan
from device_agent.phones.profiling import read_profile
from device_agent.phones.script import ScriptVisit, finished_visits, visit_in_flight
from device_agent.phones.settings.clock import GrantedClock
from device_agent.phones.settings.clock_times import CORES, clock_file, clock_table, clock_times
from device_agent.runners.base import Measured
from device_agent.text import one_line
from netspec.operators import Operator
from netspec.protocol import Delegate
from netspec.wire import Conditions

UPTIME = "/proc/uptime"
_LOAD = "/proc/loadavg"
_MAX_RAW = 65_536
#: what the end of a failed runner's words may take in a reason
_MAX_WORDS = 300


@dataclass(frozen=True)
class ResultsReader:
    """Reads what scripts of one phone wrote.

    Args:
        delegate: that must have run the models.
        core: whose clock is looked at.
        zones: files that tell the CPU's temperature.
        granted: the clock that visits are true for.
        options: flags that decide what is computed and where, as `NAME=VALUE`.
        read_heat: reads what services say of heat.
        throttles: whether the device is to be so warm that it lowers its clocks itself.
        tables: of the measured cores, one of each clock domain that says how long it had which
            clock.
    """

    delegate: Delegate
    core: int
    zones: tuple[str, ...]
    granted: GrantedClock
    options: tuple[str, ...]
    read_heat: Callable[[str], Conditions]
    throttles: bool = False
    tables: tuple[int, ...] = ()

    @property
    def condition_files(self) -> tuple[str, ...]:
        """Files that the script is to read around each visit."""
        limits = (
            _limit(core, which) for core in self.granted.limits for which in self._limits_read
        )
        clocks = map(clock_file, dict.fromkeys((self.core, *self.tables)))
        gpu = () if self.granted.gpu is None else self.granted.gpu.condition_files
        return (UPTIME, _LOAD, *clocks, *self.zones, *limits, *gpu)

    @property
    def condition_tables(self) -> tuple[str, ...]:
        """Those of which the script is to read every line."""
        gpu = "" if self.granted.gpu is None else self.granted.gpu.files.table
        return (*map(clock_table, self.tables), *([gpu] if gpu else ()))

    @property
    def _limits_read(self) -> tuple[str, ...]:
        return ("min", "max") if self.granted.policy == "locked" else ("max",)

    def _clock_problem(self, visit: ScriptVisit) -> str:
        """Why the clock was not what the target says, empty where nothing shows that."""
        if self.throttles:
            return ""
        return (
            self._other_limits(visit.before)
            or self._other_limits(visit.after)
            or self._other_clock(visit)
            or (self.granted.gpu and self.granted.gpu.problem(visit.before, visit.after))
            or ""
        )

    def _other_limits(self, values: Mapping[str, str]) -> str:
        for core, khz in self.granted.limits.items():
            for which in self._limits_read:
                seen = first_number(values.get(_limit(core, which)))
                if seen is not None and seen != khz:
                    return (
                        f"the {which}imum clock of core {core} was {seen / 1000:g} MHz around "
                        f"this visit, and {khz / 1000:g} MHz under the target's clock policy"
                    )
        return ""

    def _other_clock(self, visit: ScriptVisit) -> str:
        """Under the same limits a core may have had another clock in between."""
        for core in self.tables if self.granted.policy == "locked" else ():
            times = clock_times(core, visit.before, visit.after)
            other = None if times is None else times.beside(self.granted.limits[core])
            if other is not None:
                return (
                    f"core {core} had another clock than its locked "
                    f"{self.granted.limits[core] / 1000:g} MHz for {other[1]:.0%} of this visit, "
                    f"mostly {other[0] / 1000:g} MHz"
                )
        return ""

    def results(
        self,
        text: str,
        plan: Plan,
        indexes: Sequence[int],
        uptime: str,
        not_started: list[RunnerNotStarted],
        cut: VisitFailed | None = None,
    ) -> Iterator[VisitResult]:
        """The visits in a text, as far as it came.

        Args:
            text: the script's results.
            plan: of the script.
            indexes: of each visit of the script, how the caller knows it.
            uptime: the phone's, as it is now; empty where it does not say.
            not_started: filled with the launches that the device, not a task, is to blame for.
            cut: why the visit in flight was ended, None where none was.

        Raises:
            DeviceNotReady: none was in flight.
        """
        moment = _Moment(datetime.now(UTC), first_number(uptime))
        operators = plan.operators
        for visit in finished_visits(text, plan.mark):
            at = visit.index
            launches = (visit.launch, visit.profile or visit.launch)
            causes = [start_failure(one.output, one.exit_code) for one in launches]
            if cause := next(filter(None, causes), ""):
                not_started.append(RunnerNotStarted(f"benchmark_model does not start: {cause}"))
                continue
            yield VisitResult(
                index=indexes[at],
                started_at=moment.when(visit.before),
                before=self._conditions(visit.before),
                after=self._with_heat(self._after(visit), visit.answer),
                outcome=self.outcome(visit, operators[at], plan.allow_partial[at]),
                launch=f"{plan.mark} {at}",
                rejected=self._clock_problem(visit),
            )
        if cut is not None:
            in_flight = visit_in_flight(text, plan.mark)
            if in_flight is None:
                raise DeviceNotReady(f"no visit was in flight, but {cut}")
            index, values = in_flight
            before = self._conditions(values)
            yield VisitResult(indexes[index], moment.when(values), before, before, cut)

    def celsius(self, values: Mapping[str, str]) -> float | None:
        """The greatest CPU temperature among what files say, None where none does."""
        readings = [zone_celsius(values[zone]) for zone in self.zones if zone in values]
        return max((value for value in readings if value is not None), default=None)

    def outcome(
        self, visit: ScriptVisit, operators: Sequence[Operator] | None, allow_partial: bool
    ) -> Measured | VisitFailed:
        """What the runs of one launch give, or why they give nothing."""
        try:
            return self._measured(visit, operators, allow_partial)
        except VisitFailed as error:
            return error

    def _measured(
        self, visit: ScriptVisit, operators: Sequence[Operator] | None, allow_partial: bool
    ) -> Measured:
        launch = visit.launch
        try:
            output = parse_output(launch.output)
            proof = require_delegation(launch.output, self.delegate, allow_partial=allow_partial)
            check_backend(launch.output, self.options)
            statistics = output.statistics()
        except NoPercentiles:
            raise
        except VisitFailed as error:
            if refused := delegate_failure(launch.output):
                raise DelegateRefused(
                    f"{self.delegate} does not take the graph; it said: {refused}"
                ) from error
            if launch.exit_code:
                words = one_line(launch.output)[-_MAX_WORDS:] or "nothing"
                raise RunnerFailed(
                    f"benchmark_model {ending(launch.exit_code)}; it said: {words}"
                ) from error
            raise
        if launch.exit_code:
            raise RunnerFailed(f"benchmark_model {ending(launch.exit_code)}")
        text, profile, told = launch.output, None, _told(proof)
        if operators is not None and visit.profile is not None:
            text += visit.profile.output
            try:
                profile = read_profile(visit.profile, operators, self.delegate, allow_partial)
                told["undelegated"] = undelegated(visit.profile.output)
            except VisitFailed as error:
                # What a model's kernels take is told beside its latency, not needed for it.
                if not allow_partial:
                    raise
                told["no_profile"] = one_line(error)[:_MAX_WORDS]
        line = json.dumps(told) if allow_partial else proof.words
        return Measured(statistics, f"{line}\n{text}"[:_MAX_RAW], profile=profile)

    def _after(self, visit: ScriptVisit) -> Conditions:
        """The conditions after a visit; clocks are means over the visit, where they are known."""
        gpu = self.granted.gpu
        means = {
            "cpu_mhz": clock_times(self.core, visit.before, visit.after),
            "gpu_mhz": None if gpu is None else gpu.files.times(visit.before, visit.after),
        }
        known = {name: times.mean_khz / 1000 for name, times in means.items() if times is not None}
        return self._conditions(visit.after).model_copy(update=known)

    def _with_heat(self, conditions: Conditions, answer: str) -> Conditions:
        """The conditions with what services say of heat, where the script asked them.

        What files say stays: they were read before.
        """
        if not answer:
            return conditions
        said = (self.read_heat(answer), conditions)
        known = [one.model_dump(exclude_none=True) for one in said]
        return Conditions.model_validate(known[0] | known[1])

    def _conditions(self, values: Mapping[str, str]) -> Conditions:
        khz = first_number(values.get(clock_file(self.core)))
        return Conditions(
            cpu_celsius=self.celsius(values),
            cpu_mhz=None if khz is None else khz / 1000,
            gpu_mhz=None if self.granted.gpu is None else self.granted.gpu.mhz(values),
            load_1m=first_number(values.get(_LOAD)),
        )


@dataclass(frozen=True)
class _Moment:
    """A moment on this machine's clock, and on the phone's."""

    at: datetime
    #: None where the phone does not say
    uptime_s: float | None

    def when(self, values: Mapping[str, str]) -> datetime:
        """When the phone looked into its files."""
        began_s = first_number(values.get(UPTIME))
        if self.uptime_s is None or began_s is None:
            return self.at
        return self.at - timedelta(seconds=max(0.0, self.uptime_s - began_s))


def _limit(core: int, which: str) -> str:
    return f"{CORES}/cpu{core}/cpufreq/scaling_{which}_freq"


def first_number(text: str | None) -> float | None:
    """The first number of a line."""
    first = (text or "").split()[:1]
    try:
        return float(first[0]) if first else None
    except ValueError:
        return None


def _told(proof: DelegationProof) -> dict[str, object]:
    """What `netspec.launches` reads of a model's launch."""
    counts = {"operators": proof.operators, "delegated": proof.delegated}
    return {"delegation": proof.delegation, **(counts if proof.operators is not None else {})}
