"""What an agent measures with."""

from __future__ import annotations

from dataclasses import dataclass

from device_agent.loop.model_files import ModelFiles
from device_agent.loop.server import Link
from device_agent.measuring.anchor import AnchorWatch
from device_agent.measuring.device import MeasuringDevice
from device_agent.measuring.spool import Spool
from device_agent.processes.progress import Progress
from device_agent.processes.status import StatusFile
from device_agent.processes.stop import StopSignal
from netspec.protocol import MeasurementProtocol


@dataclass(frozen=True)
class Bench:
    """What every attempt of an agent measures with."""

    device: MeasuringDevice
    protocol: MeasurementProtocol
    link: Link
    spool: Spool
    models: ModelFiles
    stop: StopSignal
    progress: Progress
    #: judges the anchor's visits; None where the protocol has none
    watch: AnchorWatch | None = None
    #: told what happens; None where nobody asks
    status: StatusFile | None = None
