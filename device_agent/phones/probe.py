"""Who a phone is: what it would be measured as, and what visits on it need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from device_agent.benchmark_model.elf import check_abi, check_page_size, is_for_dsp
from device_agent.benchmark_model.flags import check_threads, runner_options, visit_flags
from device_agent.benchmark_model.program import Program
from device_agent.cores.choice import CoreChoice, choose_cores, named_cores
from device_agent.cores.layout import LAYOUT_FILES, Core, parse_layout
from device_agent.cores.numbers import core_list, mask
from device_agent.cpu_time import busy_share, cpu_time
from device_agent.cpu_zones import is_cpu_zone
from device_agent.errors import DeviceNotReady
from device_agent.measuring.device import applied_steps
from device_agent.measuring.energy import EnergyChoice
from device_agent.phones.connect import phone_properties
from device_agent.phones.files import QUICK_S, PhoneFiles
from device_agent.phones.results import ResultsReader
from device_agent.phones.settings.clock import DeviceClocks, GrantedClock
from device_agent.phones.settings.clock_times import clock_table
from device_agent.phones.settings.gpu_clock import GpuClock, find_gpu
from device_agent.phones.systems import system_of
from device_agent.phones.systems.base import System
from device_agent.transports.base import Transport
from device_agent.transports.read_files import parse_values, read_command, read_pattern_command
from netspec.protocol import Delegate, MeasurementProtocol, TargetIdentity
from netspec.wire import Conditions

#: between the answers to several questions
_NEXT = "@next"

_log = structlog.get_logger()

_READ_LAYOUT = read_pattern_command(" ".join(LAYOUT_FILES))
_ZONES = "/sys/class/thermal/thermal_zone*"
_LIST_ZONES = read_pattern_command(f"{_ZONES}/type {_ZONES}/trip_point_0_temp")


@dataclass(frozen=True)
class Choice:
    """What the user chose of how visits on phones are made."""

    program: Program
    delegate: Delegate = "xnnpack"
    threads: int = 1
    #: to pin to, such as `4-7`; None: the fastest
    cores: str | None = None
    #: further flags of the runner, as `NAME=VALUE`
    flags: tuple[str, ...] = ()
    energy: EnergyChoice = field(default_factory=EnergyChoice)

    @property
    def options(self) -> tuple[str, ...]:
        """All flags that decide what is computed and where.

        Raises:
            RunnerRefused: the runner cannot be told to.
        """
        return runner_options(
            self.program.kind, self.delegate, self.flags, knows=self.program.knows
        )

    def visit_flags(self, protocol: MeasurementProtocol) -> tuple[str, ...]:
        """All flags of a visit but `--graph`.

        Raises:
            RunnerRefused: the runner does not offer the delegate, or cannot be told all of it.
        """
        own = visit_flags(self.program.kind, self.delegate, self.threads, protocol)
        return (*own, *(f"--{option}" for option in self.options))


@dataclass(frozen=True)
class Probed:
    """What was found."""

    identity: TargetIdentity
    #: measured on; none where the phone does not say, or cannot pin
    cores: tuple[int, ...]
    #: the runner on the phone, what shows it its libraries, and what pins it
    command: tuple[str, ...]
    reader: ResultsReader
    clock: DeviceClocks
    granted: GrantedClock
    #: its own serial number, empty where it has none
    number: str
    system: System

    def observe(self, say: Callable[[str, float], str], window_s: float, serial: str) -> Conditions:
        """Heat, battery, and what others take of the measured cores.

        Args:
            say: what a command prints on the phone within so many seconds.
            window_s: over which others are looked at.
            serial: the phone's, for messages.

        Raises:
            DeviceNotReady: it holds itself back, for instance to save its battery.
        """
        questions = (
            self.system.heat,
            "cat /proc/stat",
            f"sleep {window_s:g}; cat /proc/stat",
            read_command(self.reader.zones),
            self.system.hindrance,
            *self.system.state,
        )
        output = say(f"; echo {_NEXT}; ".join(questions), QUICK_S + window_s)
        answers = output.split(f"{_NEXT}\n")
        known = [*answers, *[""] * len(questions)][: len(questions)]
        heat, before, after, zones, holding, *state = known
        if hindrance := self.system.read_hindrance(holding):
            raise DeviceNotReady(f"{serial} holds itself back: {hindrance}")
        readings = self.system.read_heat(heat).model_dump(exclude_none=True)
        celsius = self.reader.celsius(parse_values(zones))
        if celsius is not None:
            readings.setdefault("cpu_celsius", celsius)
        share = busy_share(cpu_time(before, self.cores), cpu_time(after, self.cores))
        applied = (*applied_steps(self.identity), *self.gpu_steps)
        steps = (*applied, *self.system.state_steps(*state))
        return Conditions.model_validate({**readings, "busy_share": share, "steps": steps})

    @property
    def gpu_steps(self) -> tuple[str, ...]:
        """What is known of the clock of a GPU that runs the models."""
        if self.identity.delegate != "gpu":
            return ()
        gpu = self.granted.gpu
        return ("gpu clock not readable" if gpu is None else gpu.state,)


def changes(was: TargetIdentity, now: TargetIdentity) -> str:
    """The fields in which two targets differ, for people."""
    pairs = ((name, getattr(was, name), getattr(now, name)) for name in TargetIdentity.model_fields)
    return ", ".join(f"{name} {old} -> {new}" for name, old, new in pairs if old != new)


def probe(
    transport: Transport, files: PhoneFiles, choice: Choice, protocol: MeasurementProtocol
) -> Probed:
    """Looks at a phone, pushes the runner, and puts right what a killed agent left.

    Raises:
        DeviceNotReady: it cannot be reached, or used.
        RunnerRefused: the runner is not for it.
        NoSuchCore: a core that the user names cannot be used.
    """

    def say(command: str) -> str:
        return transport.shell(command, timeout_s=QUICK_S).output

    program, options = choice.program, choice.options
    check_threads(program.kind, program.version, choice.threads)
    choice.visit_flags(protocol)  # what the runner cannot do is refused before a phone is touched
    system, properties = system_of(transport), phone_properties(transport)
    abi = check_program(program, properties.abis, say)
    can_pin = not transport.shell("command -v taskset", timeout_s=QUICK_S).exit_code
    pins = can_pin and (protocol.affinity == "fastest_cluster" or choice.cores is not None)
    chosen, described = CoreChoice(()), phone_cores(say) if pins else ()
    if pins:
        chosen = cores_for(described, choice.threads, choice.cores)
    if chosen.withheld:
        _log.warning(
            "the shell's cpuset keeps programs off faster cores",
            device=transport.serial,
            cores=core_list(chosen.withheld),
        )
    cores = chosen.cores
    files.make_folders()
    gpu = find_gpu(say) if choice.delegate == "gpu" else None
    if choice.delegate == "gpu" and gpu is None:
        _log.warning("the clock of the GPU cannot be read", device=transport.serial)
    clock = DeviceClocks(system.clock(transport, cores, properties), GpuClock(transport, gpu))
    # What was taken last is given back first.
    for settings in (system.quiet(transport, False), system.awake(transport), clock):
        settings.give_back()
    runner = files.push_runner(program)
    pinned = ("taskset", mask(cores)) if cores else ()
    granted = clock.looked_up(protocol)
    return Probed(
        identity=TargetIdentity(
            device_model=properties.model,
            soc=properties.soc,
            os_build=properties.build,
            abi=abi,
            runtime=program.name,
            runtime_sha256=program.sha256,
            delegate=choice.delegate,
            threads=choice.threads,
            affinity=mask(cores),
            clock_policy=granted.policy,
            protocol=protocol.content_hash,
            runner_flags=options or None,
            locked_khz=granted.locked_khz,
            locked_gpu_khz=granted.locked_gpu_khz,
            thermal=protocol.thermal,
        ),
        cores=cores,
        command=program.command(runner, choice.delegate, pinned),
        reader=ResultsReader(
            choice.delegate,
            chosen.fastest,
            _cpu_zones(say),
            granted,
            options,
            read_heat=system.read_heat,
            throttles=protocol.warming is not None,
            tables=_clock_tables(say, described, chosen),
        ),
        clock=clock,
        granted=granted,
        number=properties.number,
        system=system,
    )


def check_program(program: Program, abis: tuple[str, ...], say: Callable[[str], str]) -> str:
    """The ABI in which the phone can run a program with its libraries.

    Args:
        program: not yet on the phone.
        abis: of the phone, best first.
        say: what a command prints on the phone.

    Raises:
        RunnerRefused: one of its files is for another ABI, or aligned to smaller pages.
    """
    abi = check_abi(program.content, program.name, abis)
    page = say("getconf PAGE_SIZE").strip()
    page_bytes = int(page) if page.isdecimal() else 0
    check_page_size(program.content, program.name, page_bytes)
    for name, content in program.libraries.items():
        if is_for_dsp(content):
            continue
        check_abi(content, name, (abi,))
        check_page_size(content, name, page_bytes)
    return abi


def _cpu_zones(say: Callable[[str], str]) -> tuple[str, ...]:
    said = parse_values(say(_LIST_ZONES))
    zones = {path.removesuffix("/type"): kind for path, kind in said.items() if "/type" in path}
    return tuple(
        f"{zone}/temp"
        for zone, kind in zones.items()
        if is_cpu_zone(kind, said.get(f"{zone}/trip_point_0_temp", ""))
    )


def _clock_tables(
    say: Callable[[str], str], cores: tuple[Core, ...], chosen: CoreChoice
) -> tuple[int, ...]:
    """One of the chosen cores of each clock domain, where it says how long it had which clock.

    The fastest stands for its domain.
    """
    by_domain: dict[frozenset[int], int] = {}
    for core in cores:
        if core.number in chosen.cores:
            domain = core.domain or frozenset({core.number})
            named = chosen.fastest if chosen.fastest in domain else core.number
            by_domain.setdefault(domain, named)
    told = parse_values(say(read_command([clock_table(core) for core in by_domain.values()])))
    return tuple(core for core in by_domain.values() if told.get(clock_table(core)))


def phone_cores(say: Callable[[str], str]) -> tuple[Core, ...]:
    """What the phone states of its cores.

    Args:
        say: what a command prints on the phone.
    """
    values = parse_values(say(_READ_LAYOUT))
    return parse_layout(values, say("cat /proc/cpuinfo"), say("cat /proc/self/status"))


def cores_for(cores: tuple[Core, ...], threads: int, named: str | None) -> CoreChoice:
    """The cores for so many threads: those that the user names, else the fastest.

    Raises:
        NoSuchCore: a named one cannot be used.
        CoresUnclear: the phone does not tell now which they are, or one of them is offline.
    """
    return choose_cores(cores, threads) if named is None else named_cores(cores, named, threads)
