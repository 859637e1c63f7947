"""Devices, and the targets that they can measure."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from netspec.protocol import MeasurementProtocol, TargetId, TargetIdentity, Text
from netspec.wire.message import Message


class DeviceRegistration(Message):
    """An agent presents one device and the targets it can measure."""

    agent: Text
    serial: Text
    targets: Annotated[tuple[TargetIdentity, ...], Field(min_length=1, max_length=16)]
    protocol: MeasurementProtocol


class Device(Message):
    """A device as the server knows it."""

    id: Text
    agent: Text
    serial: Text
    target_ids: tuple[TargetId, ...]
    last_seen: AwareDatetime


class RegisteredDevice(Message):
    """The answer to a registration, with the intervals that the agent must keep."""

    id: Text
    target_ids: tuple[TargetId, ...]
    lease_ttl_s: float
    renew_every_s: float


class Target(Message):
    """A target with what its table holds."""

    id: TargetId
    identity: TargetIdentity
    entries: int
    devices: int
