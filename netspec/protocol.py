"""How a visit is made, and what a latency is true for."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from netspec.operators import Precision, content_hash
from netspec.validation import FrozenModel

Delegate = Literal["none", "xnnpack", "gpu", "nnapi", "npu"]
ClockPolicy = Literal["free", "fixed_performance", "locked"]
Thermal = Literal["steady"]

Text = Annotated[str, Field(min_length=1, max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TargetId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Gate(FrozenModel):
    """What must hold before a stretch. What a device does not say, it is not held against."""

    #: Android's thermal status: 0 is none, from 1 on the device throttles
    max_thermal_status: Annotated[int, Field(ge=0)] = 0
    min_battery_percent: Annotated[float, Field(ge=0, le=100)] = 30.0
    max_battery_celsius: Annotated[float, Field(gt=0)] = 37.0
    #: share of the measured cores' time that others take while nothing is measured
    max_busy_share: Share = 0.25
    #: time over which that share is looked at, s
    busy_window_s: Annotated[float, Field(gt=0, le=10)] = 0.05


class CoolDown(FrozenModel):
    """What happens when the gate stays closed or the anchor is slow."""

    seconds: Annotated[float, Field(ge=0, le=3600)]
    #: at most so many, one after the other
    times: Annotated[int, Field(ge=0, le=100)]
    #: after that: hand the work back, or measure and let each visit be judged by itself
    then: Literal["hand_back", "measure"]


class Anchor(FrozenModel):
    """A small operator of known speed, visited between the others: is the device still itself?"""

    #: visits between two anchors
    every: Annotated[int, Field(ge=1)] = 20
    #: slower than its reference by this: the visits since the last good anchor do not count
    slow_ratio: Annotated[float, Field(gt=1)]
    #: slower by this twice in a row: quarantine; None on a device that is shared with other work
    quarantine_ratio: Annotated[float, Field(gt=1)] | None = None


class Acceptance(FrozenModel):
    """When one visit may enter an estimate."""

    #: share of its runs that had the core to themselves, where the runner can tell
    min_clean_share: Share = 0.25
    #: median over 5th percentile of its runs: beyond, the clock changed under it
    max_spread: Annotated[float, Field(gt=1)] = 2.0


class Warming(FrozenModel):
    """Work without pause before the first visit of a lease, so that the device is warm."""

    minutes: Annotated[float, Field(gt=0, le=60)]


class MeasurementProtocol(FrozenModel):
    """How one visit is made. Its hash is part of the target.

    Visits are short because many short visits in shuffled rounds repeat better
    than one long one; how many rounds there are is a job's choice. The defaults
    are those of a computer; `PHONE` is for phones.
    """

    version: Literal[3] = 3
    #: runs before counting: at least this long, and at least two
    warmup_ms: Annotated[float, Field(ge=0, le=10_000)] = 5.0
    #: counted runs: at least this long in all
    measure_ms: Annotated[float, Field(gt=0, le=60_000)] = 25.0
    #: counted runs: at least this many
    min_runs: Annotated[int, Field(ge=1, le=10_000)] = 10
    #: counted runs: at most this many; `benchmark_model` knows no such limit
    max_runs: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    #: which cores runs are pinned to: the last one, those of the fastest cluster, or any
    affinity: Literal["last_core", "fastest_cluster", "none"] = "last_core"
    #: the steadiest clock that the device grants, or the one found
    clock: Literal["steadiest", "as_found"] = "as_found"
    gate: Gate = Gate()
    cool_down: CoolDown = CoolDown(seconds=0.1, times=3, then="measure")
    anchor: Anchor | None = Anchor(slow_ratio=1.15)
    acceptance: Acceptance = Acceptance()
    #: None: the device is measured while it is cool
    warming: Annotated[Warming | None, Field(exclude_if=lambda value: value is None)] = None

    @property
    def thermal(self) -> Thermal | None:
        """How warm the device is to be, as a target says it."""
        return None if self.warming is None else "steady"

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the protocol's canonical JSON."""
        return content_hash(self.model_dump(mode="json"))


#: of phones: longer visits, since a launch costs more there, and patience with heat
PHONE = MeasurementProtocol(
    warmup_ms=30.0,
    measure_ms=100.0,
    affinity="fastest_cluster",
    clock="steadiest",
    gate=Gate(busy_window_s=0.5),
    cool_down=CoolDown(seconds=90.0, times=2, then="hand_back"),
    anchor=Anchor(slow_ratio=1.05, quarantine_ratio=1.10),
)


#: of a visit in the steady state, ms: so long that launches between them cool nothing down
_STEADY_MEASURE_MS = 1_000.0
#: the device is near to switching itself off
_CRITICAL = 4
#: a battery that is warmer is harmed
_WARMEST_BATTERY = 50.0


def steady(protocol: MeasurementProtocol, minutes: float) -> MeasurementProtocol:
    """The same protocol for a device in its steady state, warm of minutes of work without pause.

    Its gate lets heat pass as long as nothing is harmed, nothing cools down, and no anchor takes
    visits back because they are slow: heat is what is measured.
    """
    gate = {"max_thermal_status": _CRITICAL, "max_battery_celsius": _WARMEST_BATTERY}
    return protocol.model_copy(
        update={
            "measure_ms": max(protocol.measure_ms, _STEADY_MEASURE_MS),
            "gate": protocol.gate.model_copy(update=gate),
            "cool_down": CoolDown(seconds=0.0, times=0, then=protocol.cool_down.then),
            "anchor": None,
            "warming": Warming(minutes=minutes),
        }
    )


class TargetIdentity(FrozenModel):
    """The controlled variables of a measurement: what a latency is true for.

    All else that is observed (temperature, battery, serial, agent) is recorded
    with the visit and never keyed.
    """

    device_model: Text
    soc: Text
    os_build: Text
    abi: Text
    #: name and version, for instance `ai-edge-litert 2.3.0`
    runtime: Text
    #: of the library or program that runs the model
    runtime_sha256: Sha256
    delegate: Delegate
    threads: Annotated[int, Field(ge=1, le=64)]
    #: cores the runs are pinned to, as a hex mask, or `none`
    affinity: Annotated[str, Field(pattern=r"^(none|[0-9a-f]+)$")]
    clock_policy: ClockPolicy
    #: content hash of the `MeasurementProtocol`
    protocol: Sha256
    #: of all entries, where the target is an imported table whose file names no precision; else
    #: operators say it
    precision: Annotated[Precision | None, Field(exclude_if=lambda value: value is None)] = None

    #: flags of the runner that decide what is computed, and where: of a GPU or NNAPI its precision,
    #: backend and accelerator; None: none were needed
    runner_flags: Annotated[
        Annotated[tuple[Text, ...], Field(min_length=1, max_length=32)] | None,
        Field(exclude_if=lambda value: value is None),
    ] = None
    #: kHz that the measured cores are locked to, by core; None: they are not, or it was not kept
    locked_khz: Annotated[
        Annotated[
            tuple[Annotated[int, Field(ge=1, le=10**8)], ...], Field(min_length=1, max_length=64)
        ]
        | None,
        Field(exclude_if=lambda value: value is None),
    ] = None

    #: kHz that the GPU which runs the models is locked to; None: it is not, or none runs them
    locked_gpu_khz: Annotated[
        Annotated[int, Field(ge=1, le=10**8)] | None,
        Field(exclude_if=lambda value: value is None),
    ] = None

    #: how warm the device is while it is measured; None: as cool as the protocol's gate wants it
    thermal: Annotated[Thermal | None, Field(exclude_if=lambda value: value is None)] = None

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the canonical JSON's SHA-256."""
        return content_hash(self.model_dump(mode="json"))[:16]

    @property
    def label(self) -> str:
        """For people: device, runtime, delegate, threads, an imported precision, a steady state."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        state = None if self.thermal is None else f"{self.thermal} state"
        parts = (self.device_model, self.runtime, self.delegate, threads, self.precision, state)
        return " · ".join(filter(None, parts))
