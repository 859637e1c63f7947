"""What a measurement needs of a phone, looked at one by one: the checks of `doctor`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from device_agent.benchmark_model.flags import visit_flags
from device_agent.benchmark_model.program import Program
from device_agent.cores.choice import core_kinds
from device_agent.cores.numbers import core_list, mask
from device_agent.errors import CoresUnclear, DeviceFull, DeviceNotReady, FileRefused, TransportLost
from device_agent.measuring.gate import objections
from device_agent.phones.energy.findings import energy_findings
from device_agent.phones.files import DEFAULT_MAX_BYTES, QUICK_S, ROOT
from device_agent.phones.probe import check_program, cores_for, phone_cores
from device_agent.phones.properties import PhoneProperties, parse_properties
from device_agent.phones.readings import parse_battery, parse_thermal
from device_agent.phones.settings.awake import AWAKE, AwakePhone
from device_agent.phones.settings.clock import PhoneClock
from device_agent.phones.settings.journal import JournalledSettings
from device_agent.phones.trial import TRIAL_S, launch_trial, trial_model, trial_problem
from device_agent.text import one_line
from device_agent.transports.base import Transport
from netspec.errors import UserError
from netspec.protocol import PHONE

Verdict = Literal["ok", "warning", "bad"]

TMP = PurePosixPath("/data/local/tmp")
#: Android 6: without its `setsid`, no script outlives its connection
OLDEST_SDK = 23
#: Android 10: where the thermal status begins
_THERMAL_SDK = 29
_MIB = 2**20
#: there for a moment
_TRIAL = TMP / ".device-agent-trial"
_PROBE_PATH = TMP / ".device-agent-probe"
_PROBE = b"#!/system/bin/sh\necho ran\n"
_COOL = "take it off the charger and out of the sun, and wait"


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    verdict: Verdict
    #: what was found
    found: str
    #: what to do; empty where all is well
    advice: str = ""


class Examination:
    """Looks at a phone. Nothing it changes stays changed.

    Args:
        transport: connected.
        program: gives the runner that is to run on the phone, by the phone's ABIs.
    """

    def __init__(
        self,
        transport: Transport,
        program: Callable[[tuple[str, ...]], Program],
    ) -> None:
        self._transport = transport
        self._program = program
        self._properties: PhoneProperties
        self._cores: tuple[int, ...] = ()
        self._found: Program | None = None
        #: whether any check said so
        self._is_bad = False

    def checks(self) -> Iterator[Check]:
        """All of them, in an order in which the later ones build on the earlier."""
        checks = (
            self._shell,
            self._booted,
            self._android,
            self._abi,
            self._runner,
            self._space,
            self._programs,
            self._thermal,
            self._battery,
            self._power_saving,
            self._awake,
            self._clusters,
            self._pinning,
            self._runs,
            self._clock,
            self._energy,
        )
        for check in checks:
            try:
                found = check()
                self._is_bad = self._is_bad or found.verdict == "bad"
                yield found
            except TransportLost as error:
                name = check.__name__.lstrip("_")
                advice = "see to the cable or the network, then look again"
                yield Check(name, "bad", str(error), advice)
                return

    def _shell(self) -> Check:
        result = self._transport.shell("echo out; echo err >&2; exit 7", timeout_s=QUICK_S)
        if result.exit_code != 7 or not result.output.startswith("out"):  # noqa: PLR2004 - as asked
            state = f"`echo out; exit 7` ended with {result.exit_code} and {result.output!r}"
            return Check("shell", "bad", state, "restart the phone")
        streams = "both streams" if result.errors else "streams merged (before Android 7)"
        return Check("shell", "ok", f"commands run and say how they ended; {streams}")

    def _booted(self) -> Check:
        if self._say("getprop sys.boot_completed").strip() == "1":
            return Check("booted", "ok", "Android is up")
        advice = "wait for the home screen; unlock the phone once after a restart"
        return Check("booted", "bad", "Android is still starting", advice)

    def _android(self) -> Check:
        text = self._say("getprop")
        self._properties = parse_properties(text)
        release = self._say("getprop ro.build.version.release").strip() or "unknown"
        state = f"{self._properties.model}, Android {release} (API {self._properties.sdk})"
        if self._properties.sdk < OLDEST_SDK:
            return Check("android", "bad", state, f"API {OLDEST_SDK} or later is needed")
        if self._properties.sdk < _THERMAL_SDK:
            advice = f"before API {_THERMAL_SDK} phones do not say that they throttle: keep it cool"
            return Check("android", "warning", state, advice)
        return Check("android", "ok", state)

    def _abi(self) -> Check:
        abis = self._properties.abis
        if not abis:
            return Check("abi", "bad", "the phone names no ABI", "is this an Android phone?")
        return Check("abi", "ok", ", ".join(abis))

    def _runner(self) -> Check:
        try:
            program = self._program(self._properties.abis)
            abi = check_program(program, self._properties.abis, self._say)
        except UserError as error:
            return Check("runner", "bad", "no runner for this phone", str(error))
        self._found = program
        size = len(program.content) / _MIB
        return Check("runner", "ok", f"{program.name} for {abi}, {size:.1f} MiB")

    def _space(self) -> Check:
        table = self._say(f"df -k {TMP}")
        fields = table.splitlines()[-1].split() if table.strip() else []
        if len(fields) < 4 or not fields[3].isdigit():  # noqa: PLR2004 - device, total, used, free
            return Check("space", "warning", "`df` does not say what is free", f"see `df {TMP}`")
        free = int(fields[3]) * 1024
        state = f"{free // _MIB} MiB free in {TMP}"
        if free < DEFAULT_MAX_BYTES:
            advice = f"free {DEFAULT_MAX_BYTES // _MIB} MiB: delete files, photos or apps"
            return Check("space", "bad", state, advice)
        return Check("space", "ok", state)

    def _programs(self) -> Check:
        advice = f"{TMP} must let the shell write and run programs; is this a work profile's phone?"
        try:
            self._transport.push(_PROBE, _PROBE_PATH, mode=0o755, timeout_s=QUICK_S)
        except DeviceFull as error:
            return Check("programs", "bad", str(error), "delete files from the phone")
        except FileRefused as error:
            return Check("programs", "bad", str(error), advice)
        result = self._transport.shell(str(_PROBE_PATH), timeout_s=QUICK_S, merged=True)
        self._transport.shell(shlex.join(["rm", "-f", str(_PROBE_PATH)]), timeout_s=QUICK_S)
        if result.output.strip() != "ran":
            return Check(
                "programs",
                "bad",
                f"a program in {TMP} does not run: {_line(result.output)}",
                advice,
            )
        if not self._say("command -v setsid").strip():
            problem = "the phone has no `setsid`, without which no script outlives its connection"
            return Check("programs", "bad", problem, "take a phone with Android 6 or later")
        return Check("programs", "ok", f"{TMP} takes programs and runs them")

    def _thermal(self) -> Check:
        conditions = parse_thermal(self._say("dumpsys thermalservice"))
        if conditions.thermal_status is None:
            zones = self._say("cat /sys/class/thermal/thermal_zone*/temp")
            if any(char.isdigit() for char in zones):
                advice = "keep the phone cool: it does not say when it throttles"
                return Check("thermal", "warning", "temperatures, but no thermal status", advice)
            advice = "the phone cannot say that it throttles: measure short, and compare often"
            return Check("thermal", "warning", "neither thermal status nor temperatures", advice)
        celsius = "" if conditions.cpu_celsius is None else f", CPU at {conditions.cpu_celsius:g} C"
        state = f"thermal status {conditions.thermal_status}{celsius}"
        if objections(conditions, PHONE.gate):
            return Check("thermal", "bad", state, f"too warm: {_COOL}")
        return Check("thermal", "ok", state)

    def _battery(self) -> Check:
        conditions = parse_battery(self._say("dumpsys battery"))
        if conditions.battery_percent is None:
            advice = "fine for a board without one"
            return Check("battery", "warning", "the phone says nothing of a battery", advice)
        celsius = (
            "" if conditions.battery_celsius is None else f", {conditions.battery_celsius:g} C"
        )
        state = f"{conditions.battery_percent:g} %{celsius}"
        if against := objections(conditions, PHONE.gate):
            return Check("battery", "bad", state, f"{'; '.join(against)}: charge it, let it cool")
        return Check("battery", "ok", state)

    def _power_saving(self) -> Check:
        if self._say("settings get global low_power").strip() == "1":
            advice = "switch it off in the phone's battery settings"
            return Check("power saving", "bad", "Battery Saver is on", advice)
        return Check("power saving", "ok", "Battery Saver is off")

    def _awake(self) -> Check:
        awake = AwakePhone(self._transport)
        before = awake.wakefulness()
        if before is None:
            return Check("awake", "warning", "the phone does not say whether it sleeps", "wake it")
        if before == AWAKE:
            return Check("awake", "ok", "the phone is awake")
        with self._given_back(awake):
            awake.take()
            after = awake.wakefulness()
        if after != AWAKE:
            advice = "wake it, and switch `Stay awake` on in its developer options"
            return Check("awake", "warning", f"the phone stays {before.lower()}", advice)
        return Check("awake", "ok", f"the phone is {before.lower()}, and is woken for each batch")

    def _clusters(self) -> Check:
        cores = phone_cores(self._say)
        try:
            one = cores_for(cores, 1, None)
        except CoresUnclear as error:
            return Check("cores", "bad", "the fastest cores are not known", str(error))
        self._cores = one.cores
        if not one.cores:
            advice = "visits will not be pinned, and vary more"
            return Check("cores", "warning", "the phone does not say its cores' clocks", advice)
        listed = "; ".join(kind.text for kind in core_kinds(cores))
        state = f"{len(cores)} cores: {listed}; one thread runs on {core_list(one.cores)}"
        if one.withheld:
            advice = "wake the phone; as it is now, visits run on slower ones"
            kept = f"its cpuset keeps programs off {core_list(one.withheld)}"
            return Check("cores", "warning", f"{state}; {kept}", advice)
        return Check("cores", "ok", state)

    def _pinning(self) -> Check:
        if not self._cores:
            return Check("pinning", "warning", "no cores to pin to", "see `cores`")
        if not self._say("command -v taskset").strip():
            self._cores = ()
            advice = "visits will not be pinned, and vary more"
            return Check("pinning", "warning", "the phone has no `taskset`", advice)
        command = f"taskset {mask(self._cores)} echo pinned"
        result = self._transport.shell(command, timeout_s=QUICK_S, merged=True)
        if result.output.strip() != "pinned":
            advice = "no visit can be made on these cores: are they online? name others by --cores"
            return Check("pinning", "bad", f"`{command}` gave {_line(result.output)}", advice)
        return Check("pinning", "ok", f"taskset pins to {mask(self._cores)}")

    def _runs(self) -> Check:
        """A runner may be there and be of no use: it is tried with a small model."""
        if self._is_bad or self._found is None:
            return Check("runs", "warning", "the runner was not tried", "see to what is bad first")
        program = self._found
        pinned = ("taskset", mask(self._cores)) if self._cores else ()
        flags = visit_flags(program.kind, "xnnpack", 1, PHONE)
        libraries = ("env", f"LD_LIBRARY_PATH={_TRIAL}") if program.libraries else ()
        runner, model = _TRIAL / "benchmark_model", _TRIAL / "probe.tflite"
        self._say(f"mkdir -p {_TRIAL}")
        try:
            for name, content in program.libraries.items():
                self._transport.push(content, _TRIAL / name, mode=0o755, timeout_s=TRIAL_S)
            self._transport.push(program.content, runner, mode=0o755, timeout_s=TRIAL_S)
            self._transport.push(trial_model(), model, mode=0o644, timeout_s=QUICK_S)
            command = (*libraries, *pinned, str(runner), *flags)
            launch = launch_trial(self._transport, command, str(model))
        except (DeviceFull, FileRefused) as error:
            return Check("runs", "bad", "the runner cannot be pushed", str(error))
        finally:
            self._say(f"rm -rf {_TRIAL}")
        if problem := trial_problem(launch, "xnnpack", ()):
            return Check("runs", "bad", f"{program.name} is of no use here", problem)
        return Check("runs", "ok", f"{program.name} measures a small model")

    def _clock(self) -> Check:
        clock = PhoneClock(self._transport, self._cores, self._properties.sdk)
        try:
            with self._given_back(clock):
                policy = clock.steady().policy
        except TransportLost:
            raise
        except DeviceNotReady as error:
            return Check("clock", "bad", "a clock policy was not taken back", str(error))
        if policy == "free":
            advice = "numbers vary more; a rooted phone or Android 11 and later can do better"
            return Check("clock", "warning", "the phone sets its clocks as it likes", advice)
        return Check("clock", "ok", f"clock policy {policy} is granted")

    @contextmanager
    def _given_back(self, settings: JournalledSettings) -> Iterator[None]:
        """Has what is changed meanwhile, or was by an agent that was killed, undone."""
        self._say(f"mkdir -p {ROOT}")
        settings.give_back()
        try:
            yield
        finally:
            settings.give_back()
        self._say(f"rmdir {ROOT}")

    def _energy(self) -> Check:
        """A phone is measured without such counters, too: none is bad."""
        findings = energy_findings(self._transport, _TRIAL, self._properties.soc)
        verdict: Verdict = "warning" if findings.advice else "ok"
        return Check("energy", verdict, findings.found, findings.advice)

    def _say(self, command: str) -> str:
        """What it prints; a command that fails prints nothing that counts."""
        return self._transport.shell(command, timeout_s=QUICK_S).output


def _line(text: str) -> str:
    return one_line(text)[:120] or "nothing"
