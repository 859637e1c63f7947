"""How well entries repeat from session to session on this host.

Every session measures the same 10 networks and 10 operators with the agent's own attempt (gate,
anchors, shuffled rounds, fresh processes) and adds a line to a file, which is kept: `--sessions 3`
takes three more, now; hours later others follow. A session that is interrupted adds nothing. The
last line is one JSON object over all sessions of the file that this machine has made with the same
runtime and protocol:

- `entry_cv_median`: coefficient of variation of an entry over sessions, median over subjects;
- `consecutive_median_percent`, `consecutive_p90_percent`: difference between one session's entry
  and the next one's over the mean of both, of all subjects and consecutive sessions;
- `paced_...`: the same three with each session's pace taken off, the median over its subjects of
  how far they are from their own medians. It tells what the whole machine did from what each
  measurement did; nobody's entries are corrected so.

What there are too few sessions for is `null`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import structlog

from benchmarks.farm.attempts import TTL_S, attempt
from benchmarks.farm.host import this_machine
from device_agent.host.identity import host_device
from netspec.networks import SHIPPED_NETWORKS
from netspec.operators import PRECISIONS
from netspec.protocol import MeasurementProtocol
from netspec.repeatability import Repeatability, repeatability
from netspec.spaces import Space
from netspec.statistics import VisitStatistics, estimate
from netspec.wire import Lease, LeasedTask, NetworkSubject, OperatorSubject

RESULTS = Path(__file__).parent / "results" / "repeatability.jsonl"
#: accepted visits of a subject in a session, as a job has them by default
ROUNDS = 10
#: of each kind
SUBJECTS = 10
#: those in int8; the others in float32
INT8 = {"mobilenet_v2", "proxylessnas_mobile", "proxylessnas_gpu", "efficientnet_lite0"}


@dataclass(frozen=True)
class SessionRecord:
    """One line of the file."""

    #: when it began, UTC
    at: str
    #: machine, runtime, pinning and protocol
    target_id: str
    label: str
    #: of this machine before it, last minute
    load_1m: float
    seconds: float
    rounds: int
    #: visits made, rejected ones too, and how many of them were rejected
    visits: int
    rejected: int
    #: by name, an entry of this session alone, ms; what had no accepted visit is not there
    entries_ms: dict[str, float]


def main() -> None:
    """Takes sessions and prints what all of them say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1, help="to take now; 0: only print")
    parser.add_argument("--subjects", type=int, default=SUBJECTS, help="networks, and operators")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--file", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    target_id = host_device(MeasurementProtocol()).identity.id
    for number in range(chosen.sessions):
        print(f"session {number + 1} of {chosen.sessions}", file=sys.stderr)
        keep(chosen.file, session(chosen.subjects, chosen.rounds))
    records = [one for one in kept(chosen.file) if one.target_id == target_id]
    for one in records:
        print(
            f"{one.at}: {one.seconds:.0f} s, load {one.load_1m:.1f} before, {one.rejected} of "
            f"{one.visits} visits rejected"
        )
    print(json.dumps(figures(records)))


def figures(records: list[SessionRecord]) -> dict[str, float | int | None]:
    """The figures over sessions, in the order of time."""
    ordered = [one.entries_ms for one in sorted(records, key=lambda record: record.at)]
    found, paced = _repeatability(ordered), _repeatability(_paced(ordered))
    named = ("entry_cv_median", "consecutive_median_percent", "consecutive_p90_percent")
    return {
        "sessions": len(records),
        "subjects": found.subjects if found else 0,
        **{name: getattr(found, name) if found else None for name in named},
        **{f"paced_{name}": getattr(paced, name) if paced else None for name in named},
    }


def _repeatability(sessions: list[dict[str, float]]) -> Repeatability | None:
    return repeatability(_histories(sessions).values())


def _histories(sessions: list[dict[str, float]]) -> dict[str, list[float]]:
    """Of each subject its entries, ms, in the order of the sessions."""
    histories: dict[str, list[float]] = defaultdict(list)
    for entries_ms in sessions:
        for name, value_ms in entries_ms.items():
            histories[name].append(value_ms)
    return histories


def _paced(sessions: list[dict[str, float]]) -> list[dict[str, float]]:
    """The entries, ms, over the pace of their sessions."""
    usual_ms = {name: median(values) for name, values in _histories(sessions).items()}
    paced = []
    for entries_ms in filter(None, sessions):
        pace = median(value_ms / usual_ms[name] for name, value_ms in entries_ms.items())
        paced.append({name: value_ms / pace for name, value_ms in entries_ms.items()})
    return paced


def subjects(wanted: int) -> list[OperatorSubject | NetworkSubject]:
    """As many operators, spread over ProxylessNAS's, and as many published networks."""
    operators = [one for name in PRECISIONS for one in Space(precision=name).operators()]
    networks = [
        build(precision="int8" if name in INT8 else "float32")
        for name, build in SHIPPED_NETWORKS.items()
    ][:wanted]
    chosen = [operators[len(operators) * index // wanted] for index in range(wanted)]
    return [
        *(OperatorSubject(operator=one) for one in chosen),
        *(NetworkSubject(network=one) for one in networks),
    ]


def session(wanted: int, rounds: int) -> SessionRecord:
    """One attempt at all subjects, with a runner of its own."""
    protocol = MeasurementProtocol()
    tasks = tuple(
        LeasedTask(task_id=one.name, subject=one, visits=rounds) for one in subjects(wanted)
    )
    at, load_1m, started = datetime.now(UTC), os.getloadavg()[0], time.monotonic()
    with (
        this_machine(protocol) as device,
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as models,
    ):
        identity = device.identity
        lease = Lease(id="benchmark", fence=1, target_id=identity.id, ttl_s=TTL_S, tasks=tasks)
        made = attempt(device, protocol, lease, Path(folder), Path(models))
    accepted: dict[str, list[VisitStatistics]] = defaultdict(list)
    for visit in made.visits:
        if not visit.rejected:
            accepted[visit.task_id].append(visit.statistics)
    return SessionRecord(
        at=at.isoformat(timespec="seconds"),
        target_id=identity.id,
        label=identity.label,
        load_1m=load_1m,
        seconds=time.monotonic() - started,
        rounds=rounds,
        visits=len(made.visits),
        rejected=sum(bool(visit.rejected) for visit in made.visits),
        entries_ms={name: estimate(visits).value_ms for name, visits in accepted.items()},
    )


def keep(file: Path, record: SessionRecord) -> None:
    """Adds a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(asdict(record)) + "\n")


def kept(file: Path) -> list[SessionRecord]:
    """The lines of a file; none where it is not there."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [SessionRecord(**json.loads(line)) for line in lines]


if __name__ == "__main__":
    main()
