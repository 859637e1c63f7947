"""What measuring costs, and how well it repeats.

Runs the agent's own attempts (gate, anchors, spool, renewals, uploads) at the whole ProxylessNAS
table, 69 operators at 224 px in float32 and int8, with a recorder in place of the server: several
sessions on this machine, then one through a real adb daemon on loopback whose program really
measures; then one agent with many fake phones and a real server. The last line is one JSON object:

- `overhead_host`, `overhead_adbd`: wall time of preparing (encoding, pushing) and measuring (gates,
  anchors and all else between the visits) over the time inside measured runs and their warm-up,
  the anchors' included;
- `entry_cv_median`: the coefficient of variation of entries over sessions, median over operators;
- `agent_rss_mb`: the greatest resident size of this process in MB (2**20 bytes), taken before the
  fake phones, which would live in it too;
- `fake_phones_served`: phones of which one agent finished, in one run, visits, energy and a minute
  without pause, all as the phone's laws say.

What cannot be had here is `null`, and said above.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections import defaultdict
from pathlib import Path

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.farm.attempts import Session
from benchmarks.farm.host import host_sessions

_SHOWN = 12
_HEAVY = frozenset({"torch", "fastapi"})


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of all, in under a minute")
    parser.add_argument("--operators", type=int, help="so many, spread over the table")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--phones", type=int)
    parser.add_argument("--only", choices=["host", "adbd", "fakes"])
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    operators = chosen.operators or (20 if chosen.quick else None)
    rounds = chosen.rounds or (4 if chosen.quick else 10)
    sessions = chosen.sessions or (2 if chosen.quick else 5)
    phones = chosen.phones or (4 if chosen.quick else 20)
    numbers: dict[str, float | None] = dict.fromkeys(
        ("overhead_host", "overhead_adbd", "entry_cv_median", "agent_rss_mb", "fake_phones_served")
    )
    if chosen.only in (None, "host"):
        made = host_sessions(operators, rounds, sessions)
        numbers["overhead_host"] = overhead(made)
        numbers["entry_cv_median"] = variation(made) if len(made) > 1 else None
        numbers["agent_rss_mb"] = resident_mb()
    if chosen.only in (None, "adbd"):
        numbers["overhead_adbd"] = adbd_overhead(operators, 2 if chosen.quick else rounds)
        numbers["agent_rss_mb"] = resident_mb()
    heavy = _HEAVY & set(sys.modules)
    if heavy:
        raise RuntimeError(f"the agent imported {', '.join(heavy)}")
    if chosen.only in (None, "fakes"):
        from benchmarks.farm.fakes import phones_served  # noqa: PLC0415 - after the resident size

        numbers["fake_phones_served"] = phones_served(phones, 2)
    print(f"load of this machine, last minute: {os.getloadavg()[0]:.1f}")
    print(json.dumps(numbers))


def overhead(sessions: list[Session]) -> float:
    """Wall time over the time in runs, of all sessions together."""
    measuring_s = sum(one.measuring_s for one in sessions)
    inside_s = sum(one.inside_s for one in sessions)
    visits = sum(len(one.visits) for one in sessions)
    rejected = sum(bool(visit.rejected) for one in sessions for visit in one.visits)
    preparing_s = sum(one.preparing_s for one in sessions)
    print(
        f"{visits} visits, {rejected} rejected: {measuring_s:.1f} s, {inside_s:.1f} s of it in "
        f"runs, {1000 * measuring_s / visits:.1f} ms a visit; preparing took {preparing_s:.1f} s"
    )
    return (preparing_s + measuring_s) / inside_s


def variation(sessions: list[Session]) -> float:
    """The median coefficient of variation, with a table of the worst."""
    entries_ms: dict[str, list[float]] = defaultdict(list)
    for one in sessions:
        for key, value_ms in one.entries_ms.items():
            entries_ms[key].append(value_ms)
    variations = {
        key: float(np.std(ms, ddof=1) / np.mean(ms))
        for key, ms in entries_ms.items()
        if len(ms) == len(sessions)
    }
    table = Table("operator", "entry ms", "CV %", title=f"the worst over {len(sessions)} sessions")
    worst = sorted(variations.items(), key=lambda pair: -pair[1])[:_SHOWN]
    for key, value in worst:
        table.add_row(key, f"{np.mean(entries_ms[key]):.4f}", f"{100 * value:.2f}")
    Console(width=120).print(table)
    return float(np.median(list(variations.values())))


def adbd_overhead(operators: int | None, rounds: int) -> float | None:
    """The overhead through adbd; None, with the reason printed, where adbd cannot be had."""
    from benchmarks.farm.adbd import adbd_session  # noqa: PLC0415 - brings what reaches phones
    from tests.benchmark_model.standin import CannotBuild  # noqa: PLC0415
    from tests.phones.debian_adbd import CannotHave  # noqa: PLC0415

    try:
        return overhead([adbd_session(operators, rounds)])
    except (CannotHave, CannotBuild) as error:
        print(f"no overhead through adbd: {error}")
        return None


def resident_mb() -> float:
    """The greatest resident size of this process so far."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The kernel counts in KiB, on macOS in bytes.
    return float(size / (2**20 if sys.platform == "darwin" else 2**10))


if __name__ == "__main__":
    main()
