"""What belongs to a device's own system: Android's commands, and Linux's in their place."""

from __future__ import annotations

from device_agent.phones.systems.android import ANDROID
from device_agent.phones.systems.base import System
from device_agent.phones.systems.linux import LINUX
from device_agent.transports.base import Transport


def system_of(transport: Transport) -> System:
    """The system of the device that a transport leads to."""
    return LINUX if transport.way == "ssh" else ANDROID
