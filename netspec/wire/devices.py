"""Devices, and the targets that they can measure."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from netspec.protocol import MeasurementProtocol, TargetId, TargetIdentity, Text
from netspec.wire.message import Message
from netspec.wire.profiles import ISOLATED, TaskMethod, is_isolated

#: what jobs select devices by, for instance `{"rack": "2", "owner": "vision"}`
Labels = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,62}$")],
        Annotated[str, Field(pattern=r"^[^\x00]{0,200}$")],
    ],
    Field(max_length=32),
]


#: how tasks can be measured on a device, on every one of its targets
Methods = Annotated[tuple[TaskMethod, ...], Field(min_length=1, max_length=2)]


class DeviceRegistration(Message):
    """An agent presents one device and the targets it can measure."""

    agent: Text
    serial: Text
    targets: Annotated[tuple[TargetIdentity, ...], Field(min_length=1, max_length=16)]
    protocol: MeasurementProtocol
    #: None: those that it has
    labels: Labels | None = None
    #: the device gets no tasks of another method
    methods: Annotated[Methods, Field(exclude_if=is_isolated)] = (ISOLATED,)


class DeviceLabels(Message):
    """The labels that a device shall have from now on, and no others."""

    labels: Labels


class QuarantineRequest(Message):
    """A device shall get no work until it is released."""

    #: for people
    reason: Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]


class Quarantine(Message):
    """Since when, and why, a device gets no work."""

    since: AwareDatetime
    reason: str


class Device(Message):
    """A device as the server knows it."""

    id: Text
    agent: Text
    serial: Text
    target_ids: tuple[TargetId, ...]
    #: to the minute
    last_seen: AwareDatetime
    labels: Labels = Field(default_factory=dict)
    quarantine: Quarantine | None = None
    #: until when it gets no work after leases that brought no visit
    rests_until: AwareDatetime | None = None
    methods: Methods = (ISOLATED,)


class RegisteredDevice(Message):
    """The answer to a registration, with the intervals that the agent must keep."""

    id: Text
    target_ids: tuple[TargetId, ...]
    lease_ttl_s: float
    renew_every_s: float
    #: tells this server's database from any other; None from a server before 0.2
    server_id: str | None = None


class Target(Message):
    """A target with what its table holds."""

    id: TargetId
    identity: TargetIdentity
    entries: int
    devices: int
