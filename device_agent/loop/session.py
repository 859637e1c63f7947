"""One device from its registration to the last upload: what `device-agent run` is for."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog
from rich.console import Console

from device_agent.errors import DeviceNotReady
from device_agent.loop.agent import Agent, registration
from device_agent.loop.bench import Bench
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
from netspec.console.heartbeat import animates
from netspec.protocol import MeasurementProtocol

#: a spool that was not written to for so long is nobody's, s
_FORGOTTEN_S = 24 * 3600.0


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
        closing(StatusFile(chosen.status_folder, device.reached_as)) as status,
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
            device.try_runner()
            device.learn_methods()
            Agent(bench).run(until_idle=chosen.until_idle)
        finally:
            _give_back(device)
            _say_what_is_left(spool)


def _spool_of(chosen: DeviceSession, device: MeasuringDevice, link: Link) -> Path:
    """The spool for this server, whatever it is reached by."""
    server = link.register(registration(device, chosen.protocol)).server_id
    names = [chosen.profiler_url, *([] if server is None else [server])]
    path = spool_path(chosen.folder, names[-1], device.serial)
    # Agents before called it by the server's URL, or the phone by its address.
    for name in names:
        for serial in (device.reached_as, device.serial):
            if (old := spool_path(chosen.folder, name, serial)) != path:
                adopt_spool(old, path)
    _say_what_others_left(chosen.folder, path)
    return path


def _say_what_others_left(folder: Path, own: Path) -> None:
    """Spools that nobody has written to for long: their phone has another name now, or is gone."""
    for path in folder.glob("spool-*.db"):
        if path != own and time.time() - path.stat().st_mtime > _FORGOTTEN_S:
            with Spool(path) as spool:
                waiting = spool.waiting()
            if waiting:
                structlog.get_logger().warning(
                    "visits of another device or server wait", visits=waiting, spool=str(path)
                )


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
    return TerminalProgress(console) if animates(console) else LogProgress()


def _say_what_is_left(spool: Spool) -> None:
    log = structlog.get_logger()
    if waiting := spool.waiting():
        log.warning("visits wait for the next start", visits=waiting, spool=str(spool.path))
    if refused := spool.refused():
        log.warning("the profiler refused visits", visits=len(refused), spool=str(spool.path))
