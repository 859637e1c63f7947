"""Phones with Wireless debugging, which tell their network of themselves by mDNS.

A phone calls itself `adb-SERIAL-RANDOM` there, and keeps that name while its ports change. Source:
`adb_mdns.h` of Android's adb. zeroconf speaks mDNS: this module alone needs it, and the extra
`wifi` brings it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zeroconf import ServiceBrowser, Zeroconf

from device_agent.errors import TransportLost
from device_agent.transports.base import MDNS_SERVICE
from device_agent.transports.keys import Key
from device_agent.transports.streams import Deadline
from device_agent.transports.wifi.pipe import WifiPipe

#: where a phone's pairing dialog takes connections; the phone itself does so at `MDNS_SERVICE`
PAIRING_SERVICE = "_adb-tls-pairing._tcp"

_DOMAIN = ".local."
#: how long the answer of one phone is waited for, s
_ANSWER_S = 3.0


@dataclass(frozen=True)
class Announcement:
    """A phone that said where it is."""

    #: with the service's, such as `adb-R58M12345AB-x1Y2z3._adb-tls-connect._tcp`
    name: str
    host: str
    port: int


def announced(service: str, seconds: float) -> list[Announcement]:
    """The phones that answer within this time, by name.

    Raises:
        TransportLost: this machine has no network for it.
    """
    names: set[str] = set()

    def hear(name: str, **_: object) -> None:
        names.add(name)

    with _network() as network:
        ServiceBrowser(network, service + _DOMAIN, handlers=[hear])
        time.sleep(seconds)
        found = [_asked(network, name, _ANSWER_S) for name in sorted(names)]
    return [announcement for announcement in found if announcement is not None]


class MdnsPipe(WifiPipe):
    """A connection to a phone that is looked for each time: its port changes, its name stays.

    Args:
        name: such as `adb-R58M12345AB-x1Y2z3._adb-tls-connect._tcp`.
        key: what the phone is to know this machine by.
    """

    def __init__(self, name: str, key: Key) -> None:
        super().__init__(name, 0, key)
        self._announced_as = name

    def connect(self, transport_timeout_s: float | None) -> None:
        """Looks for the phone, and connects."""
        found = _located(self._announced_as, self.deadline)
        self._address = found.host, found.port
        self._name = f"{self._announced_as} ({found.host}:{found.port})"
        super().connect(transport_timeout_s)


def _located(name: str, deadline: Deadline) -> Announcement:
    with _network() as network:
        within_s = min(_ANSWER_S, deadline.remaining_s())
        found = _asked(network, name.rstrip(".") + _DOMAIN, within_s)
    if found is None:
        raise TransportLost(
            f"no phone in this network calls itself {name}; is its Wireless debugging on? "
            "`device-agent devices --wifi` lists those that are there"
        )
    return found


@contextmanager
def _network() -> Iterator[Zeroconf]:
    try:
        network = Zeroconf()
    except OSError as error:
        raise TransportLost(f"no network to look for phones in: {error}") from error
    with network:
        yield network


def _asked(network: Zeroconf, name: str, within_s: float) -> Announcement | None:
    # The phone's own part comes first, and may hold dots.
    service = ".".join(name.split(".")[-len(f"{MDNS_SERVICE}{_DOMAIN}".split(".")) :])
    info = network.get_service_info(service, name, timeout=round(within_s * 1000))
    addresses = info.parsed_scoped_addresses() if info is not None else []
    if info is None or info.port is None or not addresses:
        return None
    return Announcement(name.removesuffix(_DOMAIN), addresses[0], info.port)
