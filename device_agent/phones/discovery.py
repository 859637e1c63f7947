"""Which phones and boards this machine sees, through which way, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from device_agent.errors import AdbMissing, DeviceNotReady, TransportLost
from device_agent.phones.properties import own_number
from device_agent.phones.systems import system_of
from device_agent.text import one_line
from device_agent.transports import transport_to
from device_agent.transports.adb_server import server_address, server_phones, server_runs
from device_agent.transports.base import MDNS_SERVICE, PhoneRoute, Transport, Way, is_network_name
from device_agent.transports.usb import NO_PERMISSION, usb_phones
from netspec.console.extras import needs_extra
from netspec.console.short_ids import the_only

#: phones asked at the same time
_AT_ONCE = 8
_ANSWER_S = 5.0
_LIST_S = 5.0

#: adb's states (`adb.h`, `ConnectionStateIsOnline`) that are not `device`, and what to do
_STATES = {
    "unauthorized": (
        "does not trust the adb server: unlock it and confirm `Allow USB debugging?` with "
        "`Always allow`"
    ),
    "authorizing": "is being asked for trust: unlock it and confirm `Allow USB debugging?`",
    "offline": "is offline: plug it in again, or run `adb reconnect offline`",
    "connecting": "is still connecting: look again in a moment",
    "recovery": "is in recovery: restart it into Android",
    "sideload": "is in sideload: restart it into Android",
    "rescue": "is in rescue: restart it into Android",
    "bootloader": "is in its bootloader: restart it into Android",
}
_NO_PERMISSIONS = "no permissions"

_log = structlog.get_logger()


@dataclass(frozen=True)
class ListedPhone:
    """A phone or board, listed once however many ways lead to it."""

    #: what `run --phone`, `run --board` and `doctor` take
    serial: str
    way: Way
    #: the device's own number (a phone's `ro.serialno`), empty where it could not be asked
    number: str = ""
    model: str = ""
    #: Android's version, empty for a board
    android: str = ""
    #: what is wrong and what to do, empty for a usable phone
    problem: str = ""
    #: another one after each start of each phone, empty where it does not say
    boot: str = field(default="", compare=False)
    #: the other ways to the same phone
    also: tuple[PhoneRoute, ...] = ()
    #: a board's distribution, empty for a phone
    linux: str = ""


@dataclass(frozen=True)
class Discovery:
    """What was found, and where it was not possible to look."""

    phones: tuple[ListedPhone, ...]
    notes: tuple[str, ...]


def discover(
    addresses: Sequence[str], folder: Path, wifi_s: float = 0, boards: Sequence[str] = ()
) -> Discovery:
    """Looks at USB, at the adb server if one runs, at addresses, and in the network.

    A phone that the adb server has at USB is asked through the server, which holds the interface.

    Args:
        addresses: `HOST:PORT` of phones that listen at TCP.
        folder: where this machine's key lies.
        wifi_s: how long phones with Wireless debugging may take to answer; 0: they are not asked.
        boards: `USER@HOST` of boards.

    Raises:
        NoSuchDevice: an address is none.
        SshMissing: boards are named, and what they are reached by is not installed.
        UserError: zeroconf, which asks phones in the network, is not installed.
    """
    notes: list[str] = []
    phones = _plugged_in(notes)
    phones += [ListedPhone(address, "tcp") for address in addresses]
    phones += [ListedPhone(address, "ssh") for address in boards]
    if wifi_s:
        phones += _in_network(wifi_s, notes)
    transports = [
        None if phone.problem else transport_to(phone.serial, phone.way, folder) for phone in phones
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        described = list(pool.map(_with_properties, phones, transports))
    return Discovery(tuple(listed_once(described)), tuple(notes))


def whole_serial(beginning: str, way: Way | None) -> str:
    """The serial of the only phone plugged in whose serial begins so; where none does, the text.

    A phone may be named before it is plugged in, or by its address.

    Raises:
        UnknownId: several begin so.
    """
    if is_network_name(beginning) or way == "ssh":
        return beginning
    seen = {phone.serial for phone in _plugged_in([]) if way in (None, phone.way)}
    if not any(serial.startswith(beginning) for serial in seen):
        return beginning
    listing = "device-agent devices"
    return the_only("phone", sorted(seen), beginning, listing, names=lambda serial: [serial])


class PluggedPhones:
    """Looks, again and again, for phones to measure on; what is wrong is said once.

    Args:
        way: only through this one; None: through all.
    """

    def __init__(self, way: Way | None) -> None:
        self._way = way
        self._logged: set[str] = set()

    def __call__(self) -> list[PhoneRoute]:
        """The phones that are usable now, not asked anything."""
        notes: list[str] = []
        phones = [phone for phone in _plugged_in(notes) if self._way in (None, phone.way)]
        troubles = [f"{phone.serial} {phone.problem}" for phone in phones if phone.problem]
        usable = [PhoneRoute(phone.serial, phone.way) for phone in phones if not phone.problem]
        if not usable:
            troubles += notes
            troubles.append("no phone to measure on: plug one in with USB debugging on")
        for trouble in troubles:
            if trouble not in self._logged:
                self._logged.add(trouble)
                _log.warning("phones", why=one_line(trouble))
        return usable


def listed_once(phones: Iterable[ListedPhone]) -> list[ListedPhone]:
    """Phones with the same number become one, with the best of its ways.

    Factories give many phones the same one: those that started at different times are different.
    """
    groups: dict[str, list[ListedPhone]] = {}
    for phone in phones:
        number = own_number(phone.number)
        key = f"number {number} {phone.boot}" if number else f"{phone.way} {phone.serial}"
        groups.setdefault(key, []).append(phone)
    return [_best(group) for group in groups.values()]


def _best(group: list[ListedPhone]) -> ListedPhone:
    first, *others = sorted(group, key=_preference)
    return replace(first, also=tuple(PhoneRoute(phone.serial, phone.way) for phone in others))


def _preference(phone: ListedPhone) -> int:
    """The server where it holds the USB interface or a pairing, else straight to the phone."""
    if phone.way == "adb-server":
        return 3 if is_network_name(phone.serial) else 0
    return 1 if phone.way == "usb" else 2


def _plugged_in(notes: list[str]) -> list[ListedPhone]:
    """What the adb server has, and what is at USB beside that."""
    phones = _at_server(notes)
    held = {phone.serial for phone in phones}
    return phones + [phone for phone in _at_usb(notes) if phone.serial not in held]


def _in_network(wifi_s: float, notes: list[str]) -> list[ListedPhone]:
    with needs_extra("wifi", "looking for phones in the network"):
        from device_agent.transports.wifi.mdns import announced  # noqa: PLC0415

    try:
        return [ListedPhone(phone.name, "tcp") for phone in announced(MDNS_SERVICE, wifi_s)]
    except TransportLost as error:
        notes.append(f"phones in the network are not listed: {error}")
        return []


def _at_server(notes: list[str]) -> list[ListedPhone]:
    if not server_runs():
        host, port = server_address()
        notes.append(
            f"no adb server runs at {host}:{port}: phones over Wi-Fi are named, or listed by "
            "`device-agent devices --wifi`"
        )
        return []
    try:
        listed = server_phones(_LIST_S)
    except TransportLost as error:
        notes.append(f"the adb server's phones are not listed: {error}")
        return []
    return [ListedPhone(serial, "adb-server", problem=_trouble(state)) for serial, state in listed]


def _trouble(state: str) -> str:
    if state == "device":
        return ""
    if state.startswith(_NO_PERMISSIONS):
        return NO_PERMISSION
    return _STATES.get(state, f"is in the state {state}, in which it cannot be measured")


def _at_usb(notes: list[str]) -> list[ListedPhone]:
    try:
        found = usb_phones()
    except AdbMissing as error:
        notes.append(f"USB is not looked at: {error}")
        return []
    return [
        ListedPhone(phone.serial or phone.kind, "usb", problem=phone.problem) for phone in found
    ]


def _with_properties(phone: ListedPhone, transport: Transport | None) -> ListedPhone:
    if transport is None:
        return phone
    with closing(transport):
        try:
            transport.reconnect()
            ask = system_of(transport).introduction
            lines = transport.shell(ask, timeout_s=_ANSWER_S).output.splitlines()
        except DeviceNotReady as error:
            return replace(phone, problem=str(error))
    number, model, release, boot = (line.strip() for line in [*lines, *[""] * 4][:4])
    android, linux = ("", release) if phone.way == "ssh" else (release, "")
    return replace(phone, number=number, model=model, android=android, boot=boot, linux=linux)
