"""What the agent's process asks of the fork server, a line of JSON each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True)
class VisitOrder:
    """One visit to make: a model, where to run it, and the protocol's numbers."""

    NAME: ClassVar = "the visit"

    model: str
    #: core to pin to, None where the system cannot pin
    core: int | None
    warmup_ms: float
    measure_ms: float
    min_runs: int
    max_runs: int
    timeout_s: float
    #: after the visit's runs, more of them in which every kernel is timed
    profile: bool = False
    #: whether XNNPACK may leave a part of the graph to other kernels
    allow_partial: bool = False


@dataclass(frozen=True)
class ImagesOrder:
    """Test images to run through a model."""

    NAME: ClassVar = "the piece"

    model: str
    #: core to pin to, None where the system cannot pin
    core: int | None
    #: `.npy` file of tensors as the model takes them
    images: str
    #: `.npy` file to write, of real values [images, numbers]
    outputs: str
    timeout_s: float


Order: TypeAlias = VisitOrder | ImagesOrder

_KINDS: dict[str, type[Order]] = {kind.__name__: kind for kind in (VisitOrder, ImagesOrder)}


def to_line(order: Order) -> bytes:
    """Return an order as it is sent."""
    return json.dumps({type(order).__name__: asdict(order)}).encode() + b"\n"


def from_line(line: bytes) -> Order:
    """Return the order of a line."""
    ((kind, fields),) = json.loads(line).items()
    return _KINDS[kind](**fields)
