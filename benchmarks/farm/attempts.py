"""Attempts of the agent's own, with a recorder in place of the server, and what they cost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from device_agent.benchmark_model.output import parse_output
from device_agent.loop.attempt import Attempt
from device_agent.loop.bench import Bench
from device_agent.loop.model_files import ModelFiles
from device_agent.loop.server import Link
from device_agent.measuring.anchor import AnchorWatch
from device_agent.measuring.device import MeasuringDevice, VisitRequest, VisitResult
from device_agent.measuring.energy import Counter, Reading
from device_agent.measuring.spool import Spool
from device_agent.processes.stop import StopSignal
from device_agent.runners.base import ImageOutputs, Measured
from netspec.client.http import ProfilerHttp
from netspec.images import Images
from netspec.operators import PRECISIONS
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.spaces import Space
from netspec.statistics import VisitStatistics
from netspec.wire import (
    Conditions,
    EnergySubject,
    Lease,
    LeasedTask,
    LeaseStatus,
    OperatorSubject,
    RegisteredDevice,
    TaskMethod,
    VisitBatch,
)

TTL_S = 60.0
RENEW_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What the figures need of a visit: thousands of whole ones would weigh on this process."""

    task_id: str
    statistics: VisitStatistics
    rejected: str


class Recorder:
    """Answers renewals and releases, and keeps what the figures need of the visits."""

    def __init__(self) -> None:
        self.visits: list[Kept] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to one request of the agent."""
        action = request.url.path.rsplit(":", 1)[-1]
        if action == "renew":
            return httpx2.Response(200, content=LeaseStatus(ttl_s=TTL_S).model_dump_json())
        if action == "release":
            return httpx2.Response(204)
        visits = VisitBatch.model_validate_json(request.read()).visits
        self.visits += [Kept(one.task_id, one.statistics, one.rejected) for one in visits]
        receipts = [{"id": str(visit.id), "state": "stored"} for visit in visits]
        return httpx2.Response(200, json={"receipts": receipts})


class Stages:
    """How long each stage of an attempt took, in s."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[None]:
        """Times one stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        print(f"{name}: {total} in {self.seconds[name]:.1f} s", file=sys.stderr)

    def advance(self) -> None:
        """One step is done; only stages are timed."""


@dataclass
class Watched:
    """A device, and the time inside the runs of its visits, anchors included."""

    device: MeasuringDevice
    inside_s: float = 0.0
    core: int | None = None

    @property
    def serial(self) -> str:
        """The device's."""
        return self.device.serial

    @property
    def reached_as(self) -> str:
        """The device's."""
        return self.device.reached_as

    @property
    def identity(self) -> TargetIdentity:
        """The device's."""
        return self.device.identity

    @property
    def methods(self) -> tuple[TaskMethod, ...]:
        """The device's."""
        return self.device.methods

    def try_runner(self) -> None:
        """Passed on."""
        self.device.try_runner()

    def learn_methods(self) -> None:
        """Passed on."""
        self.device.learn_methods()

    def wake(self) -> None:
        """Passed on."""
        self.device.wake()

    def prepare(self, models: Collection[Path]) -> None:
        """Passed on."""
        self.device.prepare(models)

    def observe(self) -> Conditions:
        """Passed on."""
        return self.device.observe()

    def visits(
        self,
        requests: Sequence[VisitRequest],
        go_on: Callable[[], bool],
        wanted: Callable[[int], bool],
    ) -> Iterator[VisitResult]:
        """Passed on, and counted."""
        for result in self.device.visits(requests, go_on, wanted):
            if isinstance(result.outcome, Measured):
                self.inside_s += seconds_in_runs(result.outcome.raw)
            yield result

    def evaluate(
        self, model: Path, images: Images, go_on: Callable[[], bool]
    ) -> ImageOutputs | None:
        """Passed on."""
        return self.device.evaluate(model, images, go_on)

    def sustain(
        self, model: Path, seconds: float, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> Iterator[VisitResult]:
        """Passed on."""
        return self.device.sustain(model, seconds, go_on, allow_partial=allow_partial)

    def count_energy(
        self, model: Path, subject: EnergySubject, go_on: Callable[[], bool], *, allow_partial: bool
    ) -> tuple[Counter, Sequence[Reading], Sequence[int]] | None:
        """Passed on."""
        return self.device.count_energy(model, subject, go_on, allow_partial=allow_partial)

    def late(self) -> Iterator[VisitResult]:
        """Passed on."""
        return self.device.late()

    def leftovers(self) -> Iterator[tuple[str, VisitResult]]:
        """Passed on."""
        return self.device.leftovers()

    def discard_results(self, make_safe: Callable[[], None]) -> None:
        """Passed on."""
        self.device.discard_results(make_safe)

    def rest(self) -> None:
        """Passed on."""
        self.device.rest()

    def close(self) -> None:
        """Passed on."""
        self.device.close()


@dataclass
class Session:
    """One attempt at a lease."""

    visits: list[Kept]
    #: of the stage `measuring`: gates, anchors, visits and the spool, s
    measuring_s: float
    #: encoding, and pushing to a phone, s
    preparing_s: float
    #: inside measured runs and their warm-up, s
    inside_s: float
    entries_ms: dict[str, float] = field(default_factory=dict)


def seconds_in_runs(raw: str) -> float:
    """Time of a visit inside warm-up and counted runs, in s, from what its runner said."""
    if raw.startswith("{"):
        seen = json.loads(raw)
        return float(seen["first_run_ns"] + seen["warmup_ns"] + sum(seen["runs_ns"])) / 1e9
    output = parse_output(raw)
    return (output.warmup.total_us + output.measured.total_us) / 1e6


def table_lease(operators: int | None, rounds: int, target_id: str) -> Lease:
    """ProxylessNAS's operators at 224 px, float32 and int8, or so many spread over them."""
    everything = [one for precision in PRECISIONS for one in Space(precision=precision).operators()]
    wanted = operators or len(everything)
    chosen = [everything[len(everything) * index // wanted] for index in range(wanted)]
    tasks = tuple(
        LeasedTask(task_id=one.key, subject=OperatorSubject(operator=one), visits=rounds)
        for one in dict.fromkeys(chosen)
    )
    return Lease(id="benchmark", fence=1, target_id=target_id, ttl_s=TTL_S, tasks=tasks)


def attempt(
    device: MeasuringDevice, protocol: MeasurementProtocol, lease: Lease, folder: Path, models: Path
) -> Session:
    """One attempt with a spool of its own."""
    recorder, stages, watched = Recorder(), Stages(), Watched(device)
    registered = RegisteredDevice(
        id="benchmark",
        target_ids=(device.identity.id,),
        lease_ttl_s=TTL_S,
        renew_every_s=RENEW_EVERY_S,
    )
    transport = httpx2.MockTransport(recorder)
    with (
        Spool(folder / "spool.db") as spool,
        ProfilerHttp("http://recorder", "none", transport=transport) as http,
    ):
        link = Link(http)
        bench = Bench(
            device=watched,
            protocol=protocol,
            link=link,
            spool=spool,
            models=ModelFiles(models, link.model),
            stop=StopSignal(),
            progress=stages,
            watch=None if protocol.anchor is None else AnchorWatch(protocol.anchor),
        )
        Attempt(bench, registered, lease).run()
    seconds = stages.seconds
    return Session(recorder.visits, seconds["measuring"], seconds["preparing"], watched.inside_s)
