"""A phone that does nothing else: screen and radios off, no charging; given back as it was."""

from __future__ import annotations

import re
from typing import Self

from device_agent.errors import DeviceNotReady, VisitFailed
from device_agent.phones.files import QUICK_S
from device_agent.phones.readings import parse_wakefulness
from device_agent.phones.settings.awake import AWAKE, SLEEP, WAKE_UP
from device_agent.phones.settings.journal import Change, JournalledSettings
from device_agent.transports.base import Transport, is_network_name

_JOURNAL = "energy-journal"
_NEXT = "@next"
_LOOK = f"; echo {_NEXT}; ".join(
    ("dumpsys battery", "dumpsys power", "settings get global airplane_mode_on")
)
_STATUS = re.compile(r"^\s*status: (?P<status>\d+)\s*$", re.MULTILINE)
#: of `BatteryManager`
_CHARGING, _DISCHARGING = 2, 3
_SLEEP = Change(SLEEP, WAKE_UP)
_AIRPLANE = Change(
    "cmd connectivity airplane-mode enable", "cmd connectivity airplane-mode disable"
)


class QuietPhone(JournalledSettings):
    """Switches screen and radios off, and sees that they stay so.

    A phone that is reached over a network keeps its Wi-Fi: its airplane mode is the user's to set,
    for nobody could reach the phone any more.

    Args:
        transport: to the phone.
        of_battery: whether its battery must feed all of it.
    """

    def __init__(self, transport: Transport, *, of_battery: bool) -> None:
        super().__init__(transport, _JOURNAL)
        self._of_battery = of_battery

    def __enter__(self) -> Self:
        """See `take`."""
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def take(self) -> None:
        """Switches off what is on.

        Raises:
            DeviceNotReady: the phone charges, or something stays on.
        """
        charges, awake, radios = self._look()
        if charges:
            raise DeviceNotReady(f"{self._transport.serial} {charges}")
        changes = [_SLEEP] if awake else []
        if radios and is_network_name(self._transport.serial):
            raise DeviceNotReady(
                f"the radios of {self._transport.serial} are on, and it is reached by one: set its "
                "airplane mode and switch Wi-Fi on again, or reach it by USB"
            )
        if radios:
            changes.append(_AIRPLANE)
        taken = not changes or self.apply(changes)
        still = [
            name for name, on in zip(("screen", "radios"), self._look()[1:], strict=True) if on
        ]
        if still or not taken:
            self.give_back()
            raise DeviceNotReady(
                f"{self._transport.serial} keeps its {' and '.join(still or ['settings'])} on, and "
                "its energy would be theirs; switch off what holds them"
            )

    def check(self) -> None:
        """See that it has stayed quiet.

        Raises:
            VisitFailed: it has not.
        """
        charges, awake, radios = self._look()
        on = " and ".join(name for name, on in (("screen", awake), ("radios", radios)) if on)
        if charges or on:
            raise VisitFailed(
                f"while energy was counted, the phone {charges or f'had its {on} switched on'}"
            )

    def _look(self) -> tuple[str, bool, bool]:
        """Why it charges, empty where it does not; whether it is awake, and its radios are on."""
        said = self._transport.shell(_LOOK, timeout_s=QUICK_S).output.split(f"{_NEXT}\n")
        battery, power, airplane = [*said, "", "", ""][:3]
        match = _STATUS.search(battery)
        status = None if match is None else int(match["status"])
        charges = ""
        if status == _CHARGING:
            charges = "charges, which warms it and moves its counters; unplug it, or stop charging"
        elif self._of_battery and status != _DISCHARGING:
            charges = "is fed from outside, which its fuel gauge does not count; unplug it"
        return charges, parse_wakefulness(power) in (None, AWAKE), airplane.strip() != "1"
