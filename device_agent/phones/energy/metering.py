"""Energy of runs on a phone: it is made quiet, then one script makes all windows."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

from device_agent.benchmark_model.failures import start_failure
from device_agent.benchmark_model.output import parse_output
from device_agent.errors import DeviceNotReady, RunnerNotStarted, VisitFailed
from device_agent.measuring.energy import (
    WINDOWS,
    Reading,
    brief_protocol,
    idle_s,
    long_protocol,
    trial_protocol,
)
from device_agent.phones.energy.counters import PhoneCounter
from device_agent.phones.energy.script import EnergyScript
from device_agent.phones.results import ResultsReader
from device_agent.phones.script import ScriptVisit
from device_agent.phones.stretch import PhoneScripts
from device_agent.phones.systems.base import System
from device_agent.phones.trial import launch_trial
from device_agent.runners.base import Measured
from device_agent.transports.base import ShellResult, Transport
from netspec.protocol import MeasurementProtocol
from netspec.wire import EnergySubject


@dataclass(frozen=True)
class MeteredRunner:
    """The runner of one phone, and how it is told to run models."""

    transport: Transport
    reader: ResultsReader
    #: the runner, what shows it its libraries, and what pins it
    command: tuple[str, ...]
    #: of a launch by a protocol
    flags: Callable[[MeasurementProtocol], tuple[str, ...]]
    protocol: MeasurementProtocol
    system: System

    def measured(self, launch: ShellResult, partial: bool) -> Measured:
        """What one launch gave.

        Raises:
            VisitFailed: it gave nothing.
            RunnerNotStarted: the phone is to blame.
        """
        if cause := start_failure(launch.output, launch.exit_code):
            raise RunnerNotStarted(f"benchmark_model does not start: {cause}")
        found = self.reader.outcome(ScriptVisit(0, {}, {}, launch), None, partial)
        if isinstance(found, VisitFailed):
            raise found
        return found

    def runs(self, launch: ShellResult, partial: bool) -> int:
        """Of one launch, those that warm up among them."""
        counted = self.measured(launch, partial).statistics.count
        return counted + parse_output(launch.output).warmup.count


@dataclass(frozen=True)
class PhoneMetering:
    """Counts the energy of runs with one of a phone's counters."""

    runner: MeteredRunner
    scripts: PhoneScripts
    source: PhoneCounter

    def run(
        self,
        folder: str,
        graph: str,
        subject: EnergySubject,
        go_on: Callable[[], bool],
        partial: bool,
    ) -> tuple[list[Reading], list[int]] | None:
        """The readings of all windows, and the runs in each; None: `go_on` said no.

        Args:
            folder: of the script.
            graph: the model on the phone.
            subject: says how many windows, and how long.
            go_on: asked now and then.
            partial: whether the delegate may leave operators to other kernels.

        Raises:
            VisitFailed: no energy can be told of it.
            DeviceNotReady: the phone is not quiet, or cannot be used any more.
        """
        runner = self.runner
        with runner.system.quiet(runner.transport, self.source.of_battery) as quiet:
            trial = (*runner.command, *runner.flags(trial_protocol(runner.protocol)))
            tried = launch_trial(runner.transport, trial, graph)
            seconds = idle_s(subject, runner.measured(tried, partial).statistics.median_us)
            script = self._script(folder, graph, subject, seconds)
            text, stuck = self.scripts.run(script.script(), go_on)
            if stuck is not None:
                raise stuck
            readings, launches = script.readings(text), script.launches(text)
            if len(readings) <= WINDOWS * subject.windows + 1:
                return None
            quiet.check()
        runs = [runner.runs(launch, partial) for launch in launches]
        _check_clock(readings, seconds, runner.system.noun)
        counts = [count for pair in zip(runs[::2], runs[1::2], strict=True) for count in (0, *pair)]
        return readings, [*counts, 0]

    def _script(
        self, folder: str, graph: str, subject: EnergySubject, seconds: float
    ) -> EnergyScript:
        """Rounds of nothing, a brief launch and a long one, and nothing in the end."""
        runner = self.runner
        brief, long = (
            shlex.join([*runner.command, f"--graph={graph}", *runner.flags(protocol)])
            for protocol in (
                brief_protocol(runner.protocol),
                long_protocol(runner.protocol, seconds),
            )
        )
        return EnergyScript(
            folder,
            f"@energy {uuid4().hex}",
            self.source,
            (*(seconds, brief, long) * subject.windows, seconds),
            patience_s=subject.seconds,
        )


def _check_clock(readings: list[Reading], seconds: float, noun: str) -> None:
    """See that the device did not sleep while nothing ran: it idles otherwise beside runs.

    Raises:
        DeviceNotReady: it did.
    """
    began, ended = readings[::WINDOWS], readings[1::WINDOWS]
    lasted = median(b.at_s - a.at_s for a, b in zip(began, ended, strict=True))
    if lasted > 3 * seconds + 1:
        raise DeviceNotReady(
            f"the {noun} slept while nothing ran ({lasted:.0f} s for windows of {seconds:.2g} s); "
            "keep it awake, for instance by a wake lock"
        )
