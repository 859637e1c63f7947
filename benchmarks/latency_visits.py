"""Interleaved visits of operators and networks on this host, kept in a file.

The agent's own runner makes them, without a server. The file is JSON lines: first the
`Plan`, then a `PlannedVisit` a line, so that models can be fitted again without measuring.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from pydantic import AwareDatetime, BaseModel

from device_agent.host.device import LocalDevice
from device_agent.host.identity import host_device, leave_core
from device_agent.loop.model_files import ModelFiles
from device_agent.measuring.acceptance import rejection
from device_agent.measuring.device import VisitRequest
from device_agent.measuring.rounds import interleaved_rounds
from device_agent.runners.base import Measured
from netspec.errors import UserError
from netspec.networks import Network, mobilenet_v2
from netspec.operators import PRECISIONS, Operator
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.sampling import random_network, stratified_networks, typical_networks
from netspec.spaces import Space
from netspec.statistics import Estimate, VisitStatistics, estimate
from netspec.wire import Conditions, NetworkSubject, OperatorSubject, Subject

#: short: networks of the space take 15 to 250 ms a run, and many visits beat long ones
PROTOCOL = MeasurementProtocol(warmup_ms=2, measure_ms=6, min_runs=2)
#: (input size in px, width) of the MobileNetV2 that are predicted
MOBILENETS = ((224, 0.5), (192, 0.75), (160, 1.0))
#: share of the calibration networks that are drawn like the held-out ones; the others span the
#: space's latencies, down to networks as fast as a search would keep
TYPICAL_SHARE = 0.5
#: calibration networks below this are visited more often: a disturbance is a larger share of them,
#: and they alone tell what a network costs besides its operators' work
SHORT_MS = 12.0
MAX_MODEL_BYTES = 8 * 2**30

#: the first calibration networks make a calibration of their own
Role = Literal[
    "operator",
    "mobilenet_operator",
    "first_calibration",
    "calibration",
    "mobilenet_calibration",
    "held_out",
    "mobilenet",
]


class Planned(BaseModel):
    """One subject, what it is for, and how often it is visited."""

    role: Role
    subject: Subject
    visits: int


class Plan(BaseModel):
    """What a session measures."""

    identity: TargetIdentity
    seed: int
    #: runnable processes when it began, average of the last minute
    load_1m: float | None
    planned: dict[str, Planned]


class PlannedVisit(BaseModel):
    """One visit of a planned subject."""

    subject: str
    started_at: AwareDatetime
    statistics: VisitStatistics
    #: why it does not count, empty if it does
    rejected: str
    #: every counted run, in us
    runs_us: list[float]
    before: Conditions


@dataclass(frozen=True)
class Amount:
    """How many networks, and how many visits of each subject; fewer where time runs out."""

    first_calibration: int
    calibration: int
    held_out: int
    #: of `MOBILENETS`
    mobilenets: int
    #: calibration networks out of each one's operators
    relatives: int
    operator_visits: int
    #: of what takes little time: short calibration networks, MobileNetV2's relatives and operators
    short_visits: int
    calibration_visits: int
    #: of the first calibration networks, and of those that errors are stated on
    network_visits: int


FULL = Amount(5, 35, 20, 3, 3, 16, 64, 16, 40)
QUICK = Amount(3, 5, 4, 1, 1, 2, 2, 1, 2)


def measure(file: Path, amount: Amount, seed: int, limit_s: float) -> None:
    """Makes a session's visits and writes them to a file.

    Args:
        file: is written, one line a visit, as they are made.
        amount: of networks and visits.
        seed: of the networks and of the order.
        limit_s: once everything was visited, no visit begins later than this, in s.
    """
    device = host_device(PROTOCOL)
    leave_core(device.core)
    started = time.monotonic()
    spaces = [Space(precision=precision) for precision in PRECISIONS]
    with _models(file) as models, closing(device):
        looks = [
            look
            for space in spaces
            for look in _visits(
                device, models, [OperatorSubject(operator=one) for one in space.operators()]
            )
        ]
        planned = _planned(spaces, _values_ms(looks), amount, seed)
        plan = Plan(
            identity=device.identity,
            seed=seed,
            load_1m=device.observe().load_1m,
            planned={one.subject.content_hash: one for one in planned},
        )
        with file.open("w", encoding="utf-8") as lines:
            lines.write(plan.model_dump_json() + "\n")
            for _, look in looks:
                lines.write(look.model_dump_json() + "\n")
            made = Counter(subject.content_hash for subject, _ in looks)
            rounds = _rounds(plan, made)
            _measure_rounds(device, models, plan, rounds, lines, started + limit_s)


def go_on(file: Path, limit_s: float) -> None:
    """Makes more of a session's visits, where its limit cut it short.

    Args:
        file: of the session; is appended to.
        limit_s: no visit begins later than this, in s.

    Raises:
        UserError: the session was measured as another target.
    """
    device = host_device(PROTOCOL)
    leave_core(device.core)
    started = time.monotonic()
    session = Session.read(file)
    if device.identity != session.plan.identity:
        raise UserError(
            f"{file} holds visits of target {session.plan.identity.id}, this machine is "
            f"{device.identity.id} now; measure a session of its own"
        )
    with (
        _models(file) as models,
        closing(device),
        file.open("a", encoding="utf-8") as lines,
    ):
        rounds = _rounds(session.plan, session.made)
        _measure_rounds(device, models, session.plan, rounds, lines, started + limit_s)


@contextmanager
def _models(file: Path) -> Iterator[ModelFiles]:
    """What subjects are encoded into, beside the session's file while it is measured."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        yield ModelFiles(Path(folder), _no_download, MAX_MODEL_BYTES)


def _measure_rounds(
    device: LocalDevice,
    models: ModelFiles,
    plan: Plan,
    rounds: Iterable[Sequence[str]],
    lines: TextIO,
    end: float,
) -> None:
    """Writes visits, a line each; none begins after the end once everything was visited."""
    for number, order in enumerate(rounds):
        subjects = [plan.planned[key].subject for key in order]
        for _, visit in _visits(device, models, subjects):
            lines.write(visit.model_dump_json() + "\n")
            if number and time.monotonic() > end:
                return
        lines.flush()


def _rounds(plan: Plan, made: Counter[str]) -> list[list[str]]:
    """First everything that was not visited yet, then the other visits, all interleaved.

    Args:
        plan: names how often what is to be visited.
        made: visits that there are already.
    """
    seed = plan.seed + made.total()
    first = {key: 1 for key in plan.planned if not made[key]}
    wanted = {key: one.visits - max(1, made[key]) for key, one in plan.planned.items()}
    rest = {key: count for key, count in wanted.items() if count > 0}
    return [*interleaved_rounds(first, seed), *interleaved_rounds(rest, seed + 1)]


def _visits(
    device: LocalDevice, models: ModelFiles, subjects: Sequence[Subject]
) -> Iterator[tuple[Subject, PlannedVisit]]:
    """One visit of each subject, in this order."""
    requests = [VisitRequest(models.path(subject)) for subject in subjects]
    for result in device.visits(requests, lambda: True, lambda _: True):
        if not isinstance(result.outcome, Measured):
            raise result.outcome
        seen, subject = result.outcome, subjects[result.index]
        yield (
            subject,
            PlannedVisit(
                subject=subject.content_hash,
                started_at=result.started_at,
                statistics=seen.statistics,
                rejected=rejection(seen.statistics, seen.clean_share, PROTOCOL.acceptance),
                runs_us=[ns / 1000 for ns in json.loads(seen.raw)["runs_ns"]],
                before=result.before,
            ),
        )


def _values_ms(looks: Iterable[tuple[Subject, PlannedVisit]]) -> dict[str, float]:
    """Rough latencies by operator key, to spread the networks by."""
    return {subject.name: look.statistics.p5_us / 1000 for subject, look in looks}


def _planned(
    spaces: Iterable[Space], first_ms: Mapping[str, float], amount: Amount, seed: int
) -> list[Planned]:
    planned: list[Planned] = []
    for space in spaces:
        rng = np.random.default_rng(seed)
        held_out = [random_network(space, rng) for _ in range(amount.held_out)]
        longest_ms = max(_sum_ms(network, first_ms) for network in held_out)
        first = typical_networks(space, first_ms, amount.first_calibration, seed + 1)
        typical = round(TYPICAL_SHARE * (amount.calibration + amount.first_calibration))
        typical -= amount.first_calibration
        calibration = [
            *typical_networks(space, first_ms, typical, seed + 2),
            *stratified_networks(
                space, first_ms, amount.calibration - typical, seed, (0.0, longest_ms)
            ),
        ]
        short = [one for one in calibration if _sum_ms(one, first_ms) < SHORT_MS]
        long = [one for one in calibration if one not in short]
        mobilenets = [
            mobilenet_v2(*one, precision=space.precision) for one in MOBILENETS[: amount.mobilenets]
        ]
        kin = [one for network in mobilenets for one in relatives(network, amount.relatives, rng)]
        own = dict.fromkeys(op for network in mobilenets for op in network.operators)
        planned += [
            *_operators("operator", space.operators(), amount.operator_visits),
            *_operators(
                "mobilenet_operator",
                [op for op in own if op.key not in first_ms],
                amount.short_visits,
            ),
            *_networks("first_calibration", first, amount.network_visits),
            *_networks("calibration", short, amount.short_visits),
            *_networks("calibration", long, amount.calibration_visits),
            *_networks("mobilenet_calibration", kin, amount.short_visits),
            *_networks("held_out", held_out, amount.network_visits),
            *_networks("mobilenet", mobilenets, 2 * amount.short_visits),
        ]
    return planned


def _sum_ms(network: Network, values_ms: Mapping[str, float]) -> float:
    return sum(values_ms[operator.key] for operator in network.operators)


def relatives(network: Network, count: int, rng: np.random.Generator) -> list[Network]:
    """Distinct networks out of a network's operators, none of them the network itself.

    Blocks that keep their shape are left out or repeated: a run of `n` of them gets 0 to `n + 1`.
    """
    runs = [(operator, len(list(run))) for operator, run in itertools.groupby(network.operators)]
    found: dict[str, Network] = {}
    while len(found) < count:
        times = [
            int(rng.integers(most + 2)) if getattr(operator, "residual", False) else 1
            for operator, most in runs
        ]
        operators = [
            one for (one, _), number in zip(runs, times, strict=True) for _ in range(number)
        ]
        name = f"{network.name}, depths {'-'.join(map(str, times))}"
        relative = Network(name=name, operators=tuple(operators))
        if relative.content_hash != network.content_hash:
            found[relative.content_hash] = relative
    return list(found.values())


def _operators(role: Role, operators: Iterable[Operator], visits: int) -> list[Planned]:
    return [
        Planned(role=role, subject=OperatorSubject(operator=one), visits=visits)
        for one in operators
    ]


def _networks(role: Role, networks: Iterable[Network], visits: int) -> list[Planned]:
    return [
        Planned(role=role, subject=NetworkSubject(network=one), visits=visits) for one in networks
    ]


def _no_download(sha256: str) -> bytes:
    raise KeyError(sha256)


@dataclass(frozen=True)
class Session:
    """A session's plan and what its visits say."""

    plan: Plan
    #: by content hash
    estimates: dict[str, Estimate]
    #: visits by content hash, rejected ones included
    made: Counter[str]
    rejected: int

    @property
    def visits(self) -> int:
        """All that were made."""
        return self.made.total()

    @classmethod
    def read(cls, file: Path) -> Session:
        """The session that a file holds.

        Of a subject without any visit that counts, those that do not are better than nothing.
        """
        with file.open(encoding="utf-8") as lines:
            plan = Plan.model_validate_json(next(lines))
            everything = [PlannedVisit.model_validate_json(line) for line in lines]
        visits: dict[str, list[PlannedVisit]] = defaultdict(list)
        for visit in everything:
            visits[visit.subject].append(visit)
        estimates = {}
        for key, own in visits.items():
            counted = [visit for visit in own if not visit.rejected] or own
            estimates[key] = estimate([visit.statistics for visit in counted])
        rejected = sum(1 for visit in everything if visit.rejected)
        return cls(plan, estimates, Counter(visit.subject for visit in everything), rejected)
