"""What a measurement needs of a device, looked at one by one: the checks of `doctor`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial, update_wrapper

from device_agent.benchmark_model.program import Program
from device_agent.cores.choice import core_kinds
from device_agent.cores.numbers import core_list, mask
from device_agent.errors import (
    CoresUnclear,
    DeviceFull,
    DeviceNotReady,
    FileRefused,
    RunnerRefused,
    TransportLost,
)
from device_agent.phones.connect import phone_properties
from device_agent.phones.files import DEFAULT_MAX_BYTES, QUICK_S
from device_agent.phones.probe import Choice, check_program, cores_for, phone_cores
from device_agent.phones.properties import PhoneProperties
from device_agent.phones.settings.gpu_clock import GpuClock, find_gpu
from device_agent.phones.systems import system_of
from device_agent.phones.systems.base import Check
from device_agent.phones.trial import TRIAL_S, launch_trial, trial_model, trial_problem
from device_agent.text import one_line
from device_agent.transports.base import Transport
from netspec.errors import UserError
from netspec.protocol import PHONE, Delegate

_MIB = 2**20
#: there for a moment, in the folder of the device's shell
_TRIAL, _PROBE = ".device-agent-trial", ".device-agent-probe"


class Examination:
    """Looks at a phone or board. Nothing it changes stays changed.

    Args:
        transport: connected.
        program: gives the runner that is to run on the device, by the device's ABIs.
        delegate: that is to run models there.
        flags: further ones of the runner, as `NAME=VALUE`.
    """

    def __init__(
        self,
        transport: Transport,
        program: Callable[[tuple[str, ...]], Program],
        delegate: Delegate = "xnnpack",
        flags: Sequence[str] = (),
    ) -> None:
        self._transport = transport
        self._system = system_of(transport)
        self._program = program
        self._delegate = delegate
        self._flags = flags
        self._properties: PhoneProperties
        self._cores: tuple[int, ...] = ()
        self._found: Program | None = None
        #: whether any check said so
        self._is_bad = False

    def checks(self) -> Iterator[Check]:
        """All of them, in an order in which the later ones build on the earlier."""
        checks = (
            self._shell,
            *map(self._of_system, self._system.first_checks),
            self._abi,
            self._runner,
            self._space,
            self._programs,
            *map(self._of_system, self._system.fitness_checks),
            self._clusters,
            self._pinning,
            self._runs,
            self._clock,
            *((self._gpu_clock,) if self._delegate == "gpu" else ()),
            *map(self._of_system, self._system.last_checks),
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

    def _of_system(self, check: Callable[[Transport], Check]) -> Callable[[], Check]:
        """A check of the device's system, under its own name."""
        return update_wrapper(partial(check, self._transport), check)

    def _shell(self) -> Check:
        result = self._transport.shell("echo out; echo err >&2; exit 7", timeout_s=QUICK_S)
        if result.exit_code != 7 or not result.output.startswith("out"):  # noqa: PLR2004 - as asked
            state = f"`echo out; exit 7` ended with {result.exit_code} and {result.output!r}"
            return Check("shell", "bad", state, f"restart the {self._system.noun}")
        streams = "both streams" if result.errors else "streams merged (before Android 7)"
        return Check("shell", "ok", f"commands run and say how they ended; {streams}")

    def _abi(self) -> Check:
        self._properties = phone_properties(self._transport)
        abis = self._properties.abis
        if not abis:
            found = f"the {self._system.noun} names no ABI"
            return Check("abi", "bad", found, "is this a device of another kind?")
        return Check("abi", "ok", ", ".join(abis))

    def _runner(self) -> Check:
        try:
            program = self._program(self._properties.abis)
            abi = check_program(program, self._properties.abis, self._say)
        except UserError as error:
            return Check("runner", "bad", f"no runner for this {self._system.noun}", str(error))
        self._found = program
        size = len(program.content) / _MIB
        return Check("runner", "ok", f"{program.name} for {abi}, {size:.1f} MiB")

    def _space(self) -> Check:
        folder = self._transport.folder
        table = self._say(f"mkdir -p {folder} && df -k {folder}")
        fields = table.splitlines()[-1].split() if table.strip() else []
        if len(fields) < 4 or not fields[3].isdigit():  # noqa: PLR2004 - device, total, used, free
            return Check("space", "warning", "`df` does not say what is free", f"see `df {folder}`")
        free = int(fields[3]) * 1024
        state = f"{free // _MIB} MiB free in {folder}"
        if free < DEFAULT_MAX_BYTES:
            advice = f"free {DEFAULT_MAX_BYTES // _MIB} MiB: delete files"
            return Check("space", "bad", state, advice)
        return Check("space", "ok", state)

    def _programs(self) -> Check:
        noun, folder = self._system.noun, self._transport.folder
        advice = f"{folder} must {self._system.folder_advice}"
        path, probe = folder / _PROBE, f"#!{self._system.interpreter}\necho ran\n".encode()
        try:
            self._transport.push(probe, path, mode=0o755, timeout_s=QUICK_S)
        except DeviceFull as error:
            return Check("programs", "bad", str(error), f"delete files from the {noun}")
        except FileRefused as error:
            return Check("programs", "bad", str(error), advice)
        result = self._transport.shell(str(path), timeout_s=QUICK_S, merged=True)
        self._transport.shell(shlex.join(["rm", "-f", str(path)]), timeout_s=QUICK_S)
        if result.output.strip() != "ran":
            return Check(
                "programs",
                "bad",
                f"a program in {folder} does not run: {_line(result.output)}",
                advice,
            )
        if not self._say("command -v setsid").strip():
            problem = f"the {noun} has no `setsid`, without which no script outlives its connection"
            return Check("programs", "bad", problem, "Android 6 or later and util-linux have it")
        return Check("programs", "ok", f"{folder} takes programs and runs them")

    def _clusters(self) -> Check:
        cores = phone_cores(self._say)
        try:
            one = cores_for(cores, 1, None)
        except CoresUnclear as error:
            return Check("cores", "bad", "the fastest cores are not known", str(error))
        self._cores = one.cores
        if not one.cores:
            advice = "visits will not be pinned, and vary more"
            return Check(
                "cores",
                "warning",
                f"the {self._system.noun} does not say its cores' clocks",
                advice,
            )
        listed = "; ".join(kind.text for kind in core_kinds(cores))
        state = f"{len(cores)} cores: {listed}; one thread runs on {core_list(one.cores)}"
        if one.withheld:
            advice = f"wake the {self._system.noun}; as it is now, visits run on slower ones"
            kept = f"its cpuset keeps programs off {core_list(one.withheld)}"
            return Check("cores", "warning", f"{state}; {kept}", advice)
        return Check("cores", "ok", state)

    def _pinning(self) -> Check:
        if not self._cores:
            return Check("pinning", "warning", "no cores to pin to", "see `cores`")
        if not self._say("command -v taskset").strip():
            self._cores = ()
            advice = "visits will not be pinned, and vary more"
            found = f"the {self._system.noun} has no `taskset`"
            return Check("pinning", "warning", found, advice)
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
        trial = self._transport.folder / _TRIAL
        runner, model = trial / "benchmark_model", trial / "probe.tflite"
        choice = Choice(program, self._delegate, flags=tuple(self._flags))
        try:
            flags, options = choice.visit_flags(PHONE), choice.options
            command = program.command(runner, choice.delegate, pinned)
        except RunnerRefused as error:
            return Check("runs", "bad", f"{program.name} does not do", str(error))
        self._say(f"mkdir -p {trial}")
        try:
            for name, content in program.libraries.items():
                self._transport.push(content, trial / name, mode=0o755, timeout_s=TRIAL_S)
            self._transport.push(program.content, runner, mode=0o755, timeout_s=TRIAL_S)
            self._transport.push(trial_model(), model, mode=0o644, timeout_s=QUICK_S)
            launch = launch_trial(self._transport, (*command, *flags), str(model))
        except (DeviceFull, FileRefused) as error:
            return Check("runs", "bad", "the runner cannot be pushed", str(error))
        finally:
            self._say(f"rm -rf {trial}")
        if problem := trial_problem(launch, self._delegate, options):
            return Check("runs", "bad", f"{program.name} is of no use here", problem)
        return Check("runs", "ok", f"{program.name} measures a small model by {self._delegate}")

    def _clock(self) -> Check:
        clock = self._system.clock(self._transport, self._cores, self._properties)
        try:
            with clock.tried():
                policy = clock.steady().policy
        except TransportLost:
            raise
        except DeviceNotReady as error:
            return Check("clock", "bad", "a clock policy was not taken back", str(error))
        if policy == "free":
            found = f"the {self._system.noun} sets its clocks as it likes"
            return Check("clock", "warning", found, self._system.clock_advice)
        return Check("clock", "ok", f"clock policy {policy} is granted")

    def _gpu_clock(self) -> Check:
        gpu = find_gpu(self._say)
        if gpu is None:
            advice = "a GPU that slows down is not seen, and visits vary more; root may read it"
            return Check("gpu clock", "warning", "no file that may be read tells it", advice)
        cores = self._system.clock(self._transport, self._cores, self._properties)
        clock = GpuClock(self._transport, gpu)
        try:
            with clock.tried():
                granted = clock.steady(cores.as_root, is_limited=False)
        except TransportLost:
            raise
        except DeviceNotReady as error:
            return Check("gpu clock", "bad", "a clock was not taken back", str(error))
        if granted is None or not granted.is_locked:
            found = f"the {self._system.noun} sets its GPU's clock as it likes"
            return Check("gpu clock", "warning", found, "root locks it, and visits vary less")
        return Check("gpu clock", "ok", f"{granted.state}, and was given back")

    def _say(self, command: str) -> str:
        """What it prints; a command that fails prints nothing that counts."""
        return self._transport.shell(command, timeout_s=QUICK_S).output


def _line(text: str) -> str:
    return one_line(text)[:120] or "nothing"
