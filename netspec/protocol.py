"""How a visit is made, and what a latency is true for."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from netspec.operators import content_hash

Delegate = Literal["none", "xnnpack", "gpu", "nnapi"]
ClockPolicy = Literal["free", "fixed_performance", "locked"]

Text = Annotated[str, Field(min_length=1, max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TargetId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class MeasurementProtocol(BaseModel):
    """How one visit is made. Its hash is part of the target.

    Visits are short because many short visits in shuffled rounds repeat better
    than one long one; how many rounds there are is a job's choice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    #: runs before counting: at least this long, and at least two
    warmup_ms: Annotated[float, Field(ge=0, le=10_000)] = 5.0
    #: counted runs: at least this long in all
    measure_ms: Annotated[float, Field(gt=0, le=60_000)] = 12.0
    #: counted runs: at least this many
    min_runs: Annotated[int, Field(ge=1, le=10_000)] = 10
    #: counted runs: at most this many
    max_runs: Annotated[int, Field(ge=1, le=100_000)] = 2_000

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the protocol's canonical JSON."""
        return content_hash(self.model_dump(mode="json"))


class TargetIdentity(BaseModel):
    """The controlled variables of a measurement: what a latency is true for.

    All else that is observed (temperature, battery, serial, agent) is recorded
    with the visit and never keyed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the canonical JSON's SHA-256."""
        return content_hash(self.model_dump(mode="json"))[:16]

    @property
    def label(self) -> str:
        """For people: device, runtime, delegate and threads."""
        return f"{self.device_model} · {self.runtime} · {self.delegate} · {self.threads} thread(s)"
