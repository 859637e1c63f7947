"""An Android phone as a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog

from device_agent.benchmark_model.flags import (
    MAX_PHASE_S,
    can_profile,
    image_flags,
    profile_flags,
)
from device_agent.errors import (
    DeviceNotReady,
    PhoneUnusable,
    RunnerFailed,
    RunnerNotStarted,
    VisitFailed,
    VisitTimedOut,
    WrongTarget,
)
from device_agent.measuring.device import VisitRequest, VisitResult
from device_agent.measuring.energy import Counter, Reading
from device_agent.measuring.sustained import sustained_protocol
from device_agent.phones.energy.counters import CounterMissing, PhoneCounter
from device_agent.phones.energy.metering import MeteredRunner, PhoneMetering
from device_agent.phones.files import QUICK_S, PhoneFiles
from device_agent.phones.image_runs import PhoneImages
from device_agent.phones.leftovers import Plan, find_leftovers, make_plan
from device_agent.phones.probe import Choice, Probed, changes, probe
from device_agent.phones.profiling import methods_of
from device_agent.phones.results import UPTIME
from device_agent.phones.script import PhoneScript, ScriptedLaunch, script_text
from device_agent.phones.stretch import PhoneScripts
from device_agent.phones.systems import system_of
from device_agent.phones.trial import launch_trial, pushed_trial_model, trial_problem
from device_agent.runners.base import ImageOutputs
from device_agent.transports.base import Transport
from netspec.images import Images
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.wire import (
    ENERGY,
    EVALUATE,
    ISOLATED,
    SUSTAINED,
    WINDOW_S,
    Conditions,
    EnergySubject,
    TaskMethod,
)

_log = structlog.get_logger()

_MARK = "@visits"
#: what a launch may take beyond its two phases: loading, and delegates that compile
_SPARE_S = 60.0
#: two launches, where one is to profile
_LONGEST_VISIT_S = 2 * (2 * MAX_PHASE_S + _SPARE_S)


@dataclass(frozen=True)
class _RunningScript:
    """A script that runs, or ran when the phone was lost."""

    folder: str
    #: None: nobody asks for what it has made
    plan: Plan | None
    #: of each of its visits, the index that the caller knows it by; empty: it asks for none
    kept: Sequence[int]


class Phone:
    """A phone that answers, see `MeasuringDevice`. Making it settles what it is measured as.

    Args:
        transport: connected.
        choice: the runner, and how it is told to run models.
        protocol: how visits are made.
        scripts: for tests: how scripts are run.

    Raises:
        DeviceNotReady: it went away, or cannot be used.
        RunnerRefused: the runner is not for it.
    """

    core = None

    def __init__(
        self,
        transport: Transport,
        choice: Choice,
        protocol: MeasurementProtocol,
        scripts: PhoneScripts | None = None,
    ) -> None:
        self._transport = transport
        self._choice = choice
        self._protocol = protocol
        self._files = PhoneFiles(transport)
        self._scripts = scripts or PhoneScripts(transport, _LONGEST_VISIT_S)
        self._flags = self._choice.visit_flags(protocol)
        self.methods: tuple[TaskMethod, ...] = (ISOLATED,)
        self._settings_are_ours = False
        self._names: Mapping[Path, str] = {}
        self._lost: _RunningScript | None = None
        self._energy: PhoneCounter | None = None
        self._late: list[VisitResult] = []
        #: folders of scripts whose visits were handed out, and of those that are safe elsewhere
        self._fetched: list[str] = []
        self._safe: list[str] = []
        self._awake = system_of(transport).awake(transport)
        self._probed = self._probe()

    @property
    def identity(self) -> TargetIdentity:
        """See `MeasuringDevice`."""
        return self._probed.identity

    def try_runner(self) -> None:
        """See `MeasuringDevice`."""
        choice, command = self._choice, (*self._probed.command, *self._flags)
        try:
            launch = launch_trial(self._transport, command, pushed_trial_model(self._files))
        except DeviceNotReady as error:
            raise PhoneUnusable(str(error)) from error
        if problem := trial_problem(launch, choice.delegate, choice.options):
            raise PhoneUnusable(f"{choice.program.name} is of no use on {self.serial}: {problem}")

    def learn_methods(self) -> None:
        """See `MeasuringDevice`. A runner that is unfit for images is named here."""
        choice = self._choice
        if can_profile(choice.delegate):
            flags = profile_flags(choice.program.kind, self._flags)
            self.methods = methods_of(
                self._transport, self._files, (*self._probed.command, *flags), choice.delegate
            )
        if why := choice.program.lacks_for_images:
            _log.warning("no test images are run", device=self.serial, why=why)
        else:
            self.methods = (*self.methods, EVALUATE)
        self.methods = (*self.methods, SUSTAINED)
        if self._choice.energy.source != "off":
            self._learn_energy()

    def _learn_energy(self) -> None:
        choice, soc, find = self._choice, self.identity.soc, self._probed.system.find_counter
        try:
            self._energy = find(self._say, choice.energy, soc, choice.delegate)
        except CounterMissing as error:
            _log.info("no energy is counted", device=self.serial, why=str(error))
        else:
            self.methods = (*self.methods, ENERGY)

    def count_energy(
        self, model: Path, subject: EnergySubject, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> tuple[Counter, Sequence[Reading], Sequence[int]] | None:
        """One script makes all windows; see `MeasuringDevice.count_energy`."""
        probed, folder = self._probed, str(self._scripts.folder())
        if (source := self._energy) is None:
            raise RunnerFailed(f"this {probed.system.noun} has no counter of energy that is known")
        told = (
            probed.reader,
            probed.command,
            self._choice.visit_flags,
            self._protocol,
            probed.system,
        )
        runner = MeteredRunner(self._transport, *told)
        metering = PhoneMetering(runner, self._scripts, source)
        self._lost = _RunningScript(folder, None, ())
        found: tuple[Sequence[Reading], Sequence[int]] | VisitFailed | None
        try:
            graph = str(self._files.folders.models / self._names[model])
            found = metering.run(folder, graph, subject, go_on, allow_partial)
        except VisitFailed as error:
            found = error
        self._lost = None
        self._safe.append(folder)
        self._remove_safe()
        if isinstance(found, VisitFailed):
            raise found
        return None if found is None else (source.counter, *found)

    def evaluate(
        self, model: Path, images: Images, go_on: Callable[[], bool]
    ) -> ImageOutputs | None:
        """See `MeasuringDevice`."""
        choice = self._choice
        flags = (
            *image_flags(choice.delegate, choice.threads),
            *(f"--{option}" for option in choice.options),
        )
        command = (*self._probed.command, *flags)
        runs = PhoneImages(self._transport, self._files, command, choice.delegate)
        return runs.run(model, images, go_on)

    @property
    def serial(self) -> str:
        """See `MeasuringDevice`. The phone's own number, whatever it is reached by."""
        return self._probed.number or self._transport.serial

    @property
    def reached_as(self) -> str:
        """See `MeasuringDevice`."""
        return self._transport.serial

    def wake(self) -> None:
        """Reaches the phone again after it went away.

        Raises:
            WrongTarget: it came back as another target, for instance with an update.
        """
        self._transport.reconnect()
        self._fetch_late()
        self._remove_safe()
        was, self._settings_are_ours = self.identity, False
        self._probed = self._probe()
        if self.identity != was:
            raise WrongTarget(
                f"{self.serial} came back as another target ({changes(was, self.identity)}); "
                "start the agent again"
            )

    def prepare(self, models: Collection[Path]) -> None:
        """Pushes the models, takes the clock, and keeps the phone awake."""
        self._names = self._files.push_models(models)
        if not self._settings_are_ours:
            granted = self._probed.clock.take(self._protocol)
            self._settings_are_ours = True
            was = self._probed.granted
            if not granted.is_as(was):
                self.rest()
                raise DeviceNotReady(
                    f"{self.serial} grants the clock policy {granted} now, but "
                    f"{was} when it was registered; the two are never compared"
                )
            self._awake.take()

    def observe(self) -> Conditions:
        """Heat, battery, and what others take of the measured cores."""
        return self._probed.observe(self._say, self._protocol.gate.busy_window_s, self.serial)

    def visits(
        self,
        requests: Sequence[VisitRequest],
        go_on: Callable[[], bool],
        wanted: Callable[[int], bool],
    ) -> Iterator[VisitResult]:
        """One script makes all of them; see `MeasuringDevice.visits`."""
        kept = [index for index in range(len(requests)) if wanted(index)]
        if not kept or not go_on():
            return
        yield from self._scripted([requests[index] for index in kept], kept, self._protocol, go_on)

    def sustain(
        self, model: Path, seconds: float, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> Iterator[VisitResult]:
        """One script makes all launches; see `MeasuringDevice.sustain`."""
        # Each takes `WINDOW_S`, and what it takes to load the model.
        launches = [VisitRequest(model, allow_partial=allow_partial)] * math.ceil(
            seconds / WINDOW_S
        )
        heat = self._probed.system.heat  # takes ms: too much between visits, not between windows
        yield from self._scripted(launches, (), sustained_protocol(self._protocol), go_on, heat)
        self._remove_safe()

    def _scripted(
        self,
        chosen: Sequence[VisitRequest],
        kept: Sequence[int],
        protocol: MeasurementProtocol,
        go_on: Callable[[], bool],
        asked: str = "",
    ) -> Iterator[VisitResult]:
        """Launches of one script.

        Args:
            chosen: what to launch.
            kept: of each, how the caller knows it when the phone was lost in the middle; empty:
                the caller asks for none of them then.
            protocol: how they are made.
            go_on: see `PhoneScripts.run`.
            asked: command whose answer tells the heat after each launch; empty: none.
        """
        mark = f"{_MARK} {uuid4().hex}"
        plan = make_plan(self.identity.id, mark, chosen)
        flags = self._choice.visit_flags(protocol)
        launch = ScriptedLaunch(
            folder=str(self._scripts.folder()),
            model_folder=str(self._files.folders.models),
            command=self._probed.command,
            flags=flags,
            condition_files=self._probed.reader.condition_files,
            mark=mark,
            least_s=(protocol.warmup_ms + protocol.measure_ms) / 1000,
            profile_flags=profile_flags(self._choice.program.kind, flags),
            profiled=tuple(
                at for at, request in enumerate(chosen) if request.operators is not None
            ),
            plan=plan.comment(),
            asked=asked,
            condition_tables=self._probed.reader.condition_tables,
        )
        self._lost = _RunningScript(launch.folder, plan, kept)
        names = [self._names[request.model] for request in chosen]
        script = PhoneScript(
            launch.folder, script_text(launch, names), len(names), launch.least_s * len(names)
        )
        text, stuck = self._scripts.run(script, go_on)
        self._lost = None
        (self._fetched if kept else self._safe).append(launch.folder)
        kept = kept or range(len(chosen))
        cut = stuck if isinstance(stuck, VisitTimedOut) else None
        not_started: list[RunnerNotStarted] = []
        yield from self._results(text, plan, kept, cut, not_started)
        if isinstance(stuck, DeviceNotReady):
            raise stuck
        if not_started:
            raise not_started[0]

    def late(self) -> Iterator[VisitResult]:
        """See `MeasuringDevice.late`."""
        late, self._late = self._late, []
        return iter(late)

    def _fetch_late(self) -> None:
        """What the script wrote that ran when the phone was lost; it may still run: it is ended."""
        if self._lost is None:
            return
        text = self._scripts.fetch_late(self._lost.folder)
        lost, self._lost = self._lost, None
        (self._fetched if lost.kept else self._safe).append(lost.folder)
        self._late = (
            list(self._results(text, lost.plan, lost.kept)) if lost.plan and lost.kept else []
        )

    def leftovers(self) -> Iterator[tuple[str, VisitResult]]:
        """See `MeasuringDevice.leftovers`; what was measured as another target is left out."""
        for plan, text, folder in find_leftovers(self._transport):
            self._fetched.append(folder)
            if plan.target_id == self.identity.id:
                for result in self._results(text, plan, range(len(plan.labels))):
                    yield plan.labels[result.index], result

    def discard_results(self, make_safe: Callable[[], None]) -> None:
        """See `MeasuringDevice`. What cannot be removed now is when the phone is back."""
        if self._fetched:
            make_safe()
        self._safe += self._fetched
        self._fetched = []
        self._remove_safe()

    def _remove_safe(self) -> None:
        while self._safe:
            self._scripts.remove(self._safe[-1])
            self._safe.pop()

    def _results(
        self,
        text: str,
        plan: Plan,
        indexes: Sequence[int],
        cut: VisitFailed | None = None,
        not_started: list[RunnerNotStarted] | None = None,
    ) -> Iterator[VisitResult]:
        uptime = self._say(f"cat {UPTIME}")
        faults = [] if not_started is None else not_started
        return self._probed.reader.results(text, plan, indexes, uptime, faults, cut)

    def rest(self) -> None:
        """Gives the settings back; a phone that is away gets them back when it wakes."""
        if self._settings_are_ours:
            self._settings_are_ours = False
            try:
                self._awake.give_back()
            finally:
                self._probed.clock.give_back()

    def close(self) -> None:
        """Gives the settings back, and ends the connection."""
        try:
            self.rest()
        finally:
            self._transport.close()

    def _probe(self) -> Probed:
        return probe(self._transport, self._files, self._choice, self._protocol)

    def _say(self, command: str, timeout_s: float = QUICK_S) -> str:
        return self._transport.shell(command, timeout_s=timeout_s).output
