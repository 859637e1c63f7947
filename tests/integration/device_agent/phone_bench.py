"""An agent in this process, a scripted server, and a phone behind a real transport."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from device_agent.loop.agent import Agent
from device_agent.loop.bench import Bench
from device_agent.loop.model_files import ModelFiles
from device_agent.loop.server import Link
from device_agent.measuring.anchor import AnchorWatch
from device_agent.measuring.spool import Spool
from device_agent.phones.connect import reach
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.phones.stretch import PhoneScripts
from device_agent.processes.stop import StopSignal
from device_agent.transports.base import Transport
from netspec.client.http import ProfilerHttp
from netspec.protocol import PHONE, Anchor, CoolDown, MeasurementProtocol
from tests.integration.device_agent.fake_runner import PROGRAM, FakeBenchmarkModel
from tests.phones.fake_phone import FakePhone
from tests.unit.device_agent.messages import lease
from tests.unit.device_agent.peer import Peer, QuietProgress

CHOICE = Choice(PROGRAM)
NO_ANCHOR = PHONE.model_copy(
    update={"anchor": None, "cool_down": CoolDown(seconds=0.02, times=2, then="hand_back")}
)
WITH_ANCHOR = NO_ANCHOR.model_copy(
    update={"anchor": Anchor(every=3, slow_ratio=1.05, quarantine_ratio=1.10)}
)


@dataclass
class PhoneBench:
    """What a test of one phone looks at and changes."""

    phone: FakePhone
    runner: FakeBenchmarkModel
    peer: Peer
    spool: Spool
    stop: StopSignal
    agent: Agent

    def lease(self, visits: dict[str, int], lease_id: str = "lease-1") -> None:
        """The server has this work."""
        work = lease(visits, lease_id)
        target_id = self.agent.bench.device.identity.id
        self.peer.leases.append(work.model_copy(update={"target_id": target_id}))

    def run(self) -> None:
        """Until there is no work."""
        self.agent.run(until_idle=True)

    def reasons(self) -> list[str]:
        """Why tasks were not done, over all releases."""
        return [
            one.reason
            for release in self.peer.releases
            for one in release.outcomes
            if one.state != "done"
        ]


@contextmanager
def phone_bench(
    fake: FakePhone,
    folder: Path,
    protocol: MeasurementProtocol = NO_ANCHOR,
    choice: Choice = CHOICE,
) -> Iterator[PhoneBench]:
    """A bench for a fake phone whose runner is installed."""
    runner = FakeBenchmarkModel()
    runner.install(fake)
    transport = reach(fake.address, "tcp", folder)
    with closing(transport):
        yield from _benches(fake, folder, protocol, choice, runner, transport)


def _benches(
    fake: FakePhone,
    folder: Path,
    protocol: MeasurementProtocol,
    choice: Choice,
    runner: FakeBenchmarkModel,
    transport: Transport,
) -> Iterator[PhoneBench]:
    scripts = PhoneScripts(transport, 5.0, poll_s=0.01, patience_s=1.0, sleep=_nap)
    device = Phone(transport, choice, protocol, scripts)
    peer = Peer(target_id=device.identity.id)
    stop = StopSignal()
    link = Link(
        ProfilerHttp("http://test", "t", transport=httpx2.MockTransport(peer), retry_pauses_s=())
    )
    with Spool(folder / "spool.db") as spool:
        bench = Bench(
            device=device,
            protocol=protocol,
            link=link,
            spool=spool,
            models=ModelFiles(folder / "models", link.model),
            stop=stop,
            progress=QuietProgress(),
            watch=None if protocol.anchor is None else AnchorWatch(protocol.anchor),
        )
        agent = Agent(bench, backoff_s=(0.05,), quarantine_s=0.05)
        yield PhoneBench(fake, runner, peer, spool, stop, agent)


def _nap(_seconds: float) -> None:
    """Polls as fast as a fake phone can."""
    time.sleep(0.01)
