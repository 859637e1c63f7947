"""A scripted server in this process, and a device without hardware."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from device_agent.host.device import LocalDevice
from device_agent.loop.agent import Agent
from device_agent.loop.bench import Bench
from device_agent.loop.model_files import ModelFiles
from device_agent.loop.server import Link
from device_agent.measuring.spool import Spool
from device_agent.processes.stop import StopSignal
from device_agent.runners.base import Measured
from netspec.client.http import ProfilerHttp
from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import (
    ISOLATED,
    Conditions,
    EnergyUpload,
    Lease,
    LeaseRelease,
    LeaseStatus,
    Profile,
    QuarantineRequest,
    RegisteredDevice,
    TaskMethod,
    Visit,
    VisitBatch,
    WindowsUpload,
)
from tests.made_up import identity

BACKOFF_S = 0.002
PROTOCOL = MeasurementProtocol()
IDENTITY = identity(device_model="test")


@dataclass
class Peer:
    """Speaks the agent's half of the wire; faults are switched on by the test."""

    leases: list[Lease] = field(default_factory=list)
    target_id: str = IDENTITY.id
    #: `Retry-After` of the next answers without work, one each
    rests: list[str] = field(default_factory=list)
    #: answer nothing at all
    away: bool = False
    #: answer renewals with 409
    lost: bool = False
    cancelled: tuple[str, ...] = ()
    ttl_s: float = 60.0
    renew_every_s: float = 60.0
    registrations: int = 0
    visits: list[Visit] = field(default_factory=list)
    releases: list[LeaseRelease] = field(default_factory=list)
    quarantines: list[str] = field(default_factory=list)
    #: of runs without pause, as they came
    windows: list[WindowsUpload] = field(default_factory=list)
    #: of energy, as they came
    energies: list[EnergyUpload] = field(default_factory=list)
    #: answer quarantines with 403
    keeps_out_of_quarantine: bool = False
    #: uploaded, by SHA-256
    models: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            raise httpx2.ConnectError("away")
        action = request.url.path.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        if action in self.models:
            return httpx2.Response(200, content=self.models[action])
        answers = {
            "devices": self._register,
            "leases": self._lease,
            "batch": self._store,
            "release": self._release,
            "renew": self._renew,
            "windows": self._windows,
            "energy": self._energy,
            "quarantine": self._quarantine,
        }
        return answers[action](request.read())

    def _register(self, _body: bytes) -> httpx2.Response:
        self.registrations += 1
        answer = RegisteredDevice(
            id="device-1",
            target_ids=(self.target_id,),
            lease_ttl_s=self.ttl_s,
            renew_every_s=self.renew_every_s,
        )
        return httpx2.Response(200, content=answer.model_dump_json())

    def _lease(self, _body: bytes) -> httpx2.Response:
        if self.rests:
            return httpx2.Response(204, headers={"Retry-After": self.rests.pop(0)})
        if not self.leases:
            return httpx2.Response(204)
        return httpx2.Response(200, content=self.leases.pop(0).model_dump_json())

    def _store(self, body: bytes) -> httpx2.Response:
        batch = VisitBatch.model_validate_json(body)
        self.visits += batch.visits
        receipts = [{"id": str(visit.id), "state": "stored"} for visit in batch.visits]
        return httpx2.Response(200, content=json.dumps({"receipts": receipts}))

    def _release(self, body: bytes) -> httpx2.Response:
        self.releases.append(LeaseRelease.model_validate_json(body))
        return httpx2.Response(204)

    def _quarantine(self, body: bytes) -> httpx2.Response:
        if self.keeps_out_of_quarantine:
            return httpx2.Response(403)
        self.quarantines.append(QuarantineRequest.model_validate_json(body).reason)
        return httpx2.Response(200)

    def _renew(self, _body: bytes) -> httpx2.Response:
        if self.lost:
            return httpx2.Response(409)
        status = LeaseStatus(ttl_s=self.ttl_s, cancelled_task_ids=self.cancelled)
        return httpx2.Response(200, content=status.model_dump_json())

    def _windows(self, body: bytes) -> httpx2.Response:
        self.windows.append(WindowsUpload.model_validate_json(body))
        return httpx2.Response(201)

    def _energy(self, body: bytes) -> httpx2.Response:
        self.energies.append(EnergyUpload.model_validate_json(body))
        return httpx2.Response(201)

    def outcomes(self) -> dict[str, str]:
        """State by task id over all releases."""
        return {one.task_id: one.state for release in self.releases for one in release.outcomes}


@dataclass
class ScriptedRunner:
    """Answers visits at once; `before` runs ahead of each and may raise."""

    before: Callable[[int, Path], None] = lambda _number, _model: None
    #: share of each visit's runs that had the core to themselves
    clean_share: float | None = None
    visits: int = 0
    #: of each visit, whether the delegate might leave operators to other kernels
    allowed_partial: list[bool] = field(default_factory=list)

    _begun: deque[tuple[Path, Sequence[Operator] | None]] = field(default_factory=deque)

    def begin(
        self,
        model: Path,
        protocol: MeasurementProtocol,
        operators: Sequence[Operator] | None = None,
        *,
        allow_partial: bool = False,
    ) -> None:
        self.allowed_partial.append(allow_partial)
        assert protocol == PROTOCOL
        assert model.exists()
        assert len(self._begun) < 2
        self._begun.append((model, operators))

    def finish(self) -> Measured:
        model, operators = self._begun.popleft()
        self.visits += 1
        self.before(self.visits, model)
        statistics = VisitStatistics(
            count=1, min_us=1, p5_us=1, median_us=1, p95_us=1, mean_us=1, std_us=0
        )
        profile = None
        if operators is not None:
            times = tuple(float(index) for index, _ in enumerate(operators))
            profile = Profile(operators_us=times, statistic="p5", count=1)
        return Measured(statistics, f"visit {self.visits}", self.clean_share, profile=profile)

    def close(self) -> None:
        raise AssertionError("the agent does not own its runner")


class QuietProgress:
    """Counts steps."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}
        self._stage = ""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[None]:
        self._stage = name
        self.steps[name] = 0
        yield
        assert self.steps[name] <= total

    def advance(self) -> None:
        self.steps[self._stage] += 1


def agent_with(
    peer: Peer,
    runner: ScriptedRunner,
    spool: Spool,
    stop: StopSignal,
    methods: tuple[TaskMethod, ...] = (ISOLATED,),
) -> Agent:
    transport = httpx2.MockTransport(peer)
    link = Link(ProfilerHttp("http://test", "t", transport=transport, retry_pauses_s=()))
    bench = Bench(
        device=LocalDevice(
            "host-test", IDENTITY, runner, Conditions, None, PROTOCOL, methods=methods
        ),
        protocol=PROTOCOL,
        link=link,
        spool=spool,
        models=ModelFiles(spool.path.parent / "models", link.model),
        stop=stop,
        progress=QuietProgress(),
    )
    return Agent(bench, backoff_s=(BACKOFF_S,))
