"""`device-agent run`: measure what the profiler asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import structlog
import typer

from device_agent.commands.energy_options import Energy, EnergyRails
from device_agent.commands.phone_options import (
    PhoneOptions,
    core_list_or_none,
    whole_serials,
)
from device_agent.commands.protocol_options import (
    ProtocolFile,
    ProtocolOptions,
    Runs,
    Steady,
    WarmupMs,
)
from device_agent.commands.runner import Lock
from device_agent.errors import NoSuchDevice
from device_agent.host.identity import host_device, leave_core
from device_agent.loop.session import DeviceSession, measure
from device_agent.measuring.energy import EnergyChoice
from device_agent.processes.lock import device_lock, file_name
from device_agent.processes.status import served
from device_agent.processes.stop import StopSignal
from device_agent.processes.supervisor import Supervisor, python_command
from device_agent.transports.base import PhoneRoute, PhoneWay
from netspec.console.connection import DEFAULT_URL, URL_VARIABLE, data_dir
from netspec.console.tokens import load_token
from netspec.errors import UserError
from netspec.protocol import PHONE, Delegate, MeasurementProtocol

Core = Annotated[
    int | None,
    typer.Option(help="Core to measure on; by default the last one.", show_default=False, min=0),
]

#: options that have no effect on others
_FOR_PHONES = (
    *("way", "runner", "runner_version", "library", "lock", "delegate", "threads", "cores"),
    "runner_flag",
)
_FOR_THIS_MACHINE = ("core", "python")

RUN_EXAMPLES = """Examples:

  device-agent run   # this machine

  device-agent run --profiler-url https://profiler.example --core 3

  device-agent run --until-idle   # measure what is queued, then end

  device-agent run --phone all   # every phone plugged in, now and later

  device-agent run --phone 192.168.1.20:5555 --runner ./benchmark_model --threads 4

  device-agent run --board pi@raspberrypi.local   # a Linux board, over SSH"""


def run(
    context: typer.Context,
    profiler_url: Annotated[
        str, typer.Option(envvar=URL_VARIABLE, help="Where the profiler listens.")
    ] = DEFAULT_URL,
    core: Core = None,
    python: Annotated[
        Path | None,
        typer.Option(
            help="Python that holds the runtime for this machine, for instance one with "
            "tflite-runtime; by default this one.",
            show_default=False,
        ),
    ] = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when the profiler has no work left.")
    ] = False,
    phone: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure on this phone, not on this machine: its serial number or the beginning "
            "of it, HOST:PORT, or `all`; may be repeated.",
            show_default=False,
        ),
    ] = None,
    board: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure on this Linux board, over SSH: USER@HOST, or a name of ~/.ssh/config; "
            "may be repeated.",
            show_default=False,
        ),
    ] = None,
    way: Annotated[
        PhoneWay | None, typer.Option(help="How to reach the phones.", show_default=False)
    ] = None,
    runner: Annotated[
        Path | None,
        typer.Option(help="benchmark_model for the phones or boards; else the fetched one."),
    ] = None,
    runner_version: Annotated[str, typer.Option(help="Version of --runner.")] = "unknown",
    library: Annotated[
        list[Path] | None,
        typer.Option(
            help="Shared library that the runner loads, pushed beside it; may be repeated.",
            show_default=False,
        ),
    ] = None,
    runner_flag: Annotated[
        list[str] | None,
        typer.Option(
            help="Flag of the runner as NAME=VALUE, for instance gpu_backend=gl; may be repeated. "
            "Part of the target.",
            show_default=False,
        ),
    ] = None,
    lock: Lock = None,
    delegate: Annotated[
        Delegate, typer.Option(help="Who runs models on phones and boards.")
    ] = "xnnpack",
    threads: Annotated[
        int, typer.Option(help="Of the delegate, on phones and boards.", min=1, max=64)
    ] = 1,
    cores: Annotated[
        str | None,
        typer.Option(
            help="Cores of phones or boards to pin to, such as 4-7 or 4,5; by default the fastest. "
            "Part of the target.",
            show_default=False,
            callback=core_list_or_none,
        ),
    ] = None,
    energy: Energy = "auto",
    energy_rail: EnergyRails = None,
    status_port: Annotated[
        int | None,
        typer.Option(
            help="Answer /healthz and /metrics on 127.0.0.1 at this port; 0 takes a free one.",
            show_default=False,
            min=0,
            max=65_535,
        ),
    ] = None,
    protocol: ProtocolFile = None,
    runs: Runs = None,
    warmup_ms: WarmupMs = None,
    steady: Steady = None,
) -> None:
    """Measure what the profiler asks for until Ctrl-C.

    Ctrl-C or SIGTERM finish the visit in flight, upload and hand the work back; a second one ends
    at once. No visit is lost either way.
    """
    is_local = not phone and not board
    _refuse_idle(context, phones=bool(phone), boards=bool(board))
    counters = EnergyChoice(energy, tuple(energy_rail or ()))
    asked = ProtocolOptions(protocol, runs, warmup_ms, steady)
    chosen = DeviceSession(
        profiler_url=profiler_url,
        token=load_token(profiler_url),
        protocol=asked.chosen(MeasurementProtocol() if is_local else PHONE),
        folder=data_dir(),
        stop=StopSignal(),
        until_idle=until_idle,
    )
    with chosen.stop.on_signals(), served(chosen.status_folder, status_port):
        if is_local:
            device = host_device(chosen.protocol, core, python, counters)
            leave_core(device.core)
            with device_lock(chosen.folder, device.serial):
                # Before the server hears of it: a device that starts again keeps its methods there.
                device.learn_methods()
                measure(chosen, device)
        else:
            options = PhoneOptions(
                whole_serials(phone or (), way),
                way,
                runner,
                runner_version,
                library or (),
                lock,
                delegate,
                threads,
                cores,
                runner_flag or (),
                counters,
                board or (),
            )
            _measure_phones(chosen, options, asked)


def _refuse_idle(context: typer.Context, *, phones: bool, boards: bool) -> None:
    """Who gives an option that has no effect expects one.

    Raises:
        UserError: an option is for phones and none is named, or the other way round.
    """
    if boards and not phones and _is_given(context, "way"):
        raise UserError("--way is for phones, and boards are reached over SSH; leave --way out")
    for name in _FOR_THIS_MACHINE if phones or boards else _FOR_PHONES:
        if _is_given(context, name):
            option = f"--{name.replace('_', '-')}"
            raise UserError(
                f"{option} is for this machine, and --phone and --board measure on others; leave "
                "one of the two out"
                if phones or boards
                else f"{option} is for phones and boards, and this run would measure on this "
                f"machine; name one with --phone or --board, or leave {option} out"
            )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _named(route: PhoneRoute) -> tuple[str, ...]:
    """The options that name one device."""
    if route.way == "ssh":
        return ("--board", route.serial)
    return ("--phone", route.serial, "--way", route.way)


def _measure_phones(chosen: DeviceSession, options: PhoneOptions, asked: ProtocolOptions) -> None:
    """One phone or board in this process, several in one each."""
    if (only := options.only) is not None:
        structlog.contextvars.bind_contextvars(device=only)
        with (
            device_lock(chosen.folder, file_name(only)),
            options.connected(only, chosen.protocol, chosen.folder) as device,
        ):
            measure(chosen, device)
        return
    seen = options.seen()
    if chosen.until_idle and not seen():
        raise NoSuchDevice(
            "no phone to measure on is plugged in; `device-agent devices` says what this machine "
            "sees, and what is wrong with it"
        )
    arguments = [
        *("--profiler-url", chosen.profiler_url),
        *options.arguments(),
        *asked.arguments(),
        *(["--until-idle"] if chosen.until_idle else []),
    ]
    Supervisor(
        seen=seen,
        command=lambda one: python_command("run", *_named(one), *arguments),
        stop=chosen.stop,
        status_folder=chosen.status_folder,
    ).run(until_idle=chosen.until_idle)
