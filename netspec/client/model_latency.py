"""The latency of a `.tflite` file on a target, as its visits tell it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from netspec.delegation import Delegation
from netspec.launches import delegation_text, read_launch, typical_launch
from netspec.wire import Entry, Profile, StoredVisit, Target


@dataclass(frozen=True)
class KernelShare:
    """What one kernel of the model's graph takes of its latency."""

    #: as the runtime calls it, for instance `Convolution (NHWC, F32) IGEMM`
    kind: str
    #: median over the visits, in runs that were profiled: those are slower
    ms: float
    #: of all kernels' time, 0 to 1
    share: float


@dataclass(frozen=True)
class ModelLatency:
    """How long a `.tflite` file takes on a target."""

    name: str
    #: of the file
    sha256: str
    target: Target
    value_ms: float
    #: 95 % bootstrap interval
    low_ms: float
    high_ms: float
    #: accepted visits
    visits: int
    measured_at: datetime
    #: visits that were left out, by the reason
    rejected: dict[str, int]
    #: whether all of it was measured before, and nothing now
    reused: bool
    #: median time to load the file, ms; None where the runner does not say
    load_ms: float | None
    #: median time of the very first inference, ms; None where the runner does not say
    first_inference_ms: float | None
    #: median growth of the runner's peak resident memory, bytes; None where it does not say
    peak_memory_bytes: int | None
    #: how much of the graph the target's delegate runs; None where the runner does not say
    delegation: Delegation | None
    #: operators of the graph, and those that the delegate runs; None where nobody counts them
    operators: int | None
    delegated: int | None
    #: kinds of the other operators, and how many there are of each; empty where they are not named
    undelegated: dict[str, int]
    #: the same for people; empty where the runner does not say
    who_runs: str
    #: in the order of running; empty where the target's devices do not profile
    kernels: tuple[KernelShare, ...]
    #: why there are none though the device profiles
    no_profile: str


def model_latency(
    name: str, target: Target, entry: Entry, visits: Sequence[StoredVisit], *, reused: bool
) -> ModelLatency:
    """A model's latency out of its entry and its visits on the target."""
    accepted = [stored.visit for stored in visits if not stored.visit.rejected]
    launch = typical_launch(read_launch(visit.raw) for visit in accepted if visit.raw)
    rejections = Counter(stored.visit.rejected for stored in visits if stored.visit.rejected)
    return ModelLatency(
        name=name,
        sha256=entry.subject_hash,
        target=target,
        value_ms=entry.value_ms,
        low_ms=entry.low_ms,
        high_ms=entry.high_ms,
        visits=entry.visits,
        measured_at=entry.measured_at,
        rejected=dict(rejections.most_common()),
        reused=reused,
        # A server that has not read its old visits yet knows less than their raw texts.
        load_ms=launch.load_ms if entry.load_ms is None else entry.load_ms,
        first_inference_ms=launch.first_inference_ms
        if entry.first_inference_ms is None
        else entry.first_inference_ms,
        peak_memory_bytes=launch.peak_memory_bytes
        if entry.peak_memory_bytes is None
        else entry.peak_memory_bytes,
        delegation=launch.delegation,
        operators=launch.operators,
        delegated=launch.delegated,
        undelegated=launch.undelegated,
        who_runs=delegation_text(target.identity.delegate, launch),
        kernels=_shares([visit.profile for visit in accepted if visit.profile is not None]),
        no_profile=launch.no_profile,
    )


def _shares(profiles: Sequence[Profile]) -> tuple[KernelShare, ...]:
    """Medians over the profiles that show the same kernels as the last one."""
    if not profiles:
        return ()
    kinds = profiles[-1].kernels
    alike = [profile.operators_us for profile in profiles if profile.kernels == kinds]
    times_ms = np.median(np.array(alike, dtype=np.float64), axis=0) / 1000
    whole_ms = times_ms.sum() or 1.0
    return tuple(
        KernelShare(kind, float(ms), float(ms / whole_ms))
        for kind, ms in zip(kinds, times_ms, strict=True)
    )
