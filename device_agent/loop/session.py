"""One device from its registration to the last upload: what `device-agent run` is for."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog
from rich.console import Console

from device_agent.errors import DeviceNotReady
from device_agent.loop.agent import Agent, registration
from device_agent.loop.attempt import Bench
from device_agent.loop.model_files import ModelFiles
from device_agent.loop.server import Link
from device_agent.measuring.anchor import AnchorWatch
from device_agent.measuring.device import MeasuringDevice
from device_agent.measuring.spool import Spool, adopt_spool, spool_path
from device_agent.measuring.visit_label import keep_leftovers
from device_agent.processes.lock import file_name
from device_agent.processes.progress import LogProgress, Progress, TerminalProgress
from device_agent.processes.status import StatusFile
from device_agent.processes.stop import StopSignal
from device_agent.text import one_line
from netspec.client.http import ProfilerHttp
from netspec.protocol import MeasurementProtocol


@dataclass(frozen=True)
class DeviceSession:
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


def measure(chosen: DeviceSession, device: MeasuringDevice) -> None:
    """Measures on one device that this process holds, and gives it back in the end.

    Raises:
        UserError: the profiler cannot be reached at the start, or refuses the agent.
    """
    with (
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
            keep_leftovers(device, spool, chosen.protocol)
            device.learn_methods()
            Agent(bench).run(until_idle=chosen.until_idle)
        finally:
            _give_back(device)
            _say_what_is_left(spool)


def _spool_of(chosen: DeviceSession, device: MeasuringDevice, link: Link) -> Path:
    """The spool for this server, whatever it is reached by."""
    by_url = spool_path(chosen.folder, chosen.profiler_url, device.serial)
    server = link.register(registration(device, chosen.protocol)).server_id
    if server is None:
        return by_url
    path = spool_path(chosen.folder, server, device.serial)
    adopt_spool(by_url, path)
    return path


def _watch(chosen: DeviceSession, device: MeasuringDevice) -> AnchorWatch | None:
    """A phone's reference outlives the agent; a computer's changes with its neighbours."""
    if chosen.protocol.anchor is None:
        return None
    if chosen.protocol.anchor.quarantine_ratio is None:
        return AnchorWatch(chosen.protocol.anchor)
    name = f"anchor-{file_name(device.serial)}-{device.identity.id}.json"
    return AnchorWatch(chosen.protocol.anchor, chosen.folder / name)


def _give_back(device: MeasuringDevice) -> None:
    try:
        device.close()
    except DeviceNotReady as error:
        structlog.get_logger().warning(
            "device not given back; its settings are restored at the next start",
            device=device.serial,
            why=one_line(error),
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
