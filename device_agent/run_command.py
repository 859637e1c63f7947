"""`device-agent run`: measure what the profiler asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from device_agent.agent import Agent, registration
from device_agent.anchor import AnchorWatch
from device_agent.attempt import Bench
from device_agent.device import Device
from device_agent.errors import DeviceNotReady, NoSuchDevice
from device_agent.host import host_device, leave_core
from device_agent.link import Link
from device_agent.lock import device_lock, file_name
from device_agent.model_files import ModelFiles
from device_agent.notes import keep_left_behind
from device_agent.phone_options import PhoneOptions
from device_agent.progress import LogProgress, Progress, TerminalProgress
from device_agent.protocol_options import ProtocolFile, ProtocolOptions, Runs, WarmupMs
from device_agent.runner_command import Lock
from device_agent.spool import Spool, adopt_spool, spool_path
from device_agent.status import StatusFile, served
from device_agent.stop import StopSignal
from device_agent.supervisor import Supervisor, python_command
from device_agent.transports.base import Way
from netspec.connection import DEFAULT_URL, URL_VARIABLE, data_dir, load_token
from netspec.profiler_http import ProfilerHttp
from netspec.protocol import PHONE, Delegate, MeasurementProtocol

Core = Annotated[
    int | None,
    typer.Option(help="Core to measure on; by default the last one.", show_default=False, min=0),
]

RUN_EXAMPLES = """Examples:

  device-agent run   # this machine

  device-agent run --profiler-url https://profiler.example --core 3

  device-agent run --until-idle   # measure what is queued, then end

  device-agent run --phone all   # every phone plugged in, now and later

  device-agent run --phone 192.168.1.20:5555 --runner ./benchmark_model --threads 4"""


@dataclass(frozen=True)
class Run:
    """What every kind of run needs."""

    profiler_url: str
    token: str
    protocol: MeasurementProtocol
    folder: Path
    stop: StopSignal
    until_idle: bool

    @property
    def status_folder(self) -> Path:
        """Where the processes of this agent say what they do."""
        return self.folder / "status"


def run(
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
            help="Measure on this phone, not on this machine: a serial number, HOST:PORT, or "
            "`all`; may be repeated.",
            show_default=False,
        ),
    ] = None,
    way: Annotated[
        Way | None, typer.Option(help="How to reach the phones.", show_default=False)
    ] = None,
    runner: Annotated[
        Path | None,
        typer.Option(help="benchmark_model for the phones; else the fetched one."),
    ] = None,
    runner_version: Annotated[str, typer.Option(help="Version of --runner.")] = "unknown",
    lock: Lock = None,
    delegate: Annotated[Delegate, typer.Option(help="Who runs models on phones.")] = "xnnpack",
    threads: Annotated[int, typer.Option(help="Of the delegate, on phones.", min=1, max=64)] = 1,
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
) -> None:
    """Measure what the profiler asks for until Ctrl-C.

    Ctrl-C or SIGTERM finish the visit in flight, upload and hand the work back; a second one ends
    at once. No visit is lost either way.
    """
    asked = ProtocolOptions(protocol, runs, warmup_ms)
    chosen = Run(
        profiler_url=profiler_url,
        token=load_token(),
        protocol=asked.chosen(PHONE if phone else MeasurementProtocol()),
        folder=data_dir(),
        stop=StopSignal(),
        until_idle=until_idle,
    )
    with served(chosen.status_folder, status_port):
        if not phone:
            device = host_device(chosen.protocol, core, python)
            leave_core(device.core)
            _measure(chosen, device)
        else:
            options = PhoneOptions(phone, way, runner, runner_version, lock, delegate, threads)
            _measure_phones(chosen, options, asked)


def _measure_phones(chosen: Run, options: PhoneOptions, asked: ProtocolOptions) -> None:
    """One phone in this process, several in one each."""
    if (only := options.only) is not None:
        structlog.contextvars.bind_contextvars(device=only)
        with device_lock(chosen.folder, file_name(only)):
            reached = options.connected(only, chosen.protocol, chosen.folder)
            _measure(chosen, reached, locked=True)
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
    with chosen.stop.on_signals():
        Supervisor(
            seen=seen,
            command=lambda one: python_command(
                "run", "--phone", one.serial, "--way", one.way, *arguments
            ),
            stop=chosen.stop,
        ).run(until_idle=chosen.until_idle)


def _measure(chosen: Run, device: Device, *, locked: bool = False) -> None:
    with (
        _held(chosen.folder, device.serial, locked=locked),
        chosen.stop.on_signals(),
        ProfilerHttp(chosen.profiler_url, chosen.token) as http,
        closing(StatusFile(chosen.status_folder, device.serial)) as status,
        Spool(_spool_of(chosen, device, Link(http))) as spool,
    ):
        link = Link(http)
        bench = Bench(
            device=device,
            protocol=chosen.protocol,
            link=link,
            spool=spool,
            models=ModelFiles(chosen.folder / "models", link.model),
            stop=chosen.stop,
            progress=_progress(),
            watch=_watch(chosen, device),
            status=status,
        )
        try:
            keep_left_behind(device, spool, chosen.protocol)
            device.learn_methods()
            Agent(bench).run(until_idle=chosen.until_idle)
        finally:
            _give_back(device)
            _say_what_is_left(spool)


def _spool_of(chosen: Run, device: Device, link: Link) -> Path:
    """The spool for this server, whatever it is reached by."""
    by_url = spool_path(chosen.folder, chosen.profiler_url, device.serial)
    server = link.register(registration(device, chosen.protocol)).server_id
    if server is None:
        return by_url
    path = spool_path(chosen.folder, server, device.serial)
    adopt_spool(by_url, path)
    return path


@contextmanager
def _held(folder: Path, serial: str, *, locked: bool) -> Iterator[None]:
    if locked:
        yield
    else:
        with device_lock(folder, serial):
            yield


def _watch(chosen: Run, device: Device) -> AnchorWatch | None:
    """A phone's reference outlives the agent; a computer's changes with its neighbours."""
    if chosen.protocol.anchor is None:
        return None
    if chosen.protocol.anchor.quarantine_ratio is None:
        return AnchorWatch(chosen.protocol.anchor)
    name = f"anchor-{file_name(device.serial)}-{device.identity.id}.json"
    return AnchorWatch(chosen.protocol.anchor, chosen.folder / name)


def _give_back(device: Device) -> None:
    try:
        device.close()
    except DeviceNotReady as error:
        structlog.get_logger().warning(
            "device not given back; its settings are restored at the next start",
            device=device.serial,
            why=" ".join(str(error).split()),
        )


def _progress() -> Progress:
    console = Console(stderr=True)
    return TerminalProgress(console) if console.is_terminal else LogProgress()


def _say_what_is_left(spool: Spool) -> None:
    log = structlog.get_logger()
    if waiting := spool.waiting():
        log.warning("visits wait for the next start", visits=waiting, spool=str(spool.path))
    if refused := spool.refused():
        log.warning("the profiler refused visits", visits=len(refused), spool=str(spool.path))
