"""The clock of a phone: set for measuring, and given back."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from device_agent.phones.settings.journal import Change, JournalledSettings
from device_agent.transports.base import Transport
from netspec.protocol import ClockPolicy

_JOURNAL = "journal"
#: Android 11
_FIXED_PERFORMANCE_SINCE = 30
CLOCK = "/sys/devices/system/cpu/cpu{core}/cpufreq"
_FIXED = "cmd power set-fixed-performance-mode-enabled"


@dataclass(frozen=True)
class GrantedClock:
    """What a phone granted."""

    policy: ClockPolicy
    #: highest clock that the measured cores may take, kHz, by core; empty where nobody limits them
    limits: Mapping[int, int] = field(default_factory=dict)

    @property
    def locked_khz(self) -> tuple[int, ...] | None:
        """By core, of cores that are locked."""
        if self.policy != "locked":
            return None
        return tuple(khz for _, khz in sorted(self.limits.items()))

    def __str__(self) -> str:
        at = sorted(set(self.locked_khz or ()))
        return " ".join([self.policy, *(f"{khz / 1000:g} MHz" for khz in at)])


class PhoneClock(JournalledSettings):
    """Sets and gives back the clock of the measured cores.

    Args:
        transport: to the phone.
        cores: measured on; none where they are not known.
        sdk: Android's API level, 0 of other systems.
    """

    #: how a command is given as root: by Magisk's `su`, then by Android's own userdebug builds
    root_shells: ClassVar[tuple[Callable[[str], str], ...]] = (
        lambda command: f"su -c {shlex.quote(command)}",
        lambda command: f"su 0 sh -c {shlex.quote(command)}",
    )

    def __init__(self, transport: Transport, cores: Sequence[int], sdk: int) -> None:
        super().__init__(transport, _JOURNAL)
        self.cores = tuple(cores)
        self._sdk = sdk

    def steady(self) -> GrantedClock:
        """Takes the steadiest policy that the phone grants: locked, fixed performance, free.

        A policy is granted when the phone's files show it, not when a command says so.
        """
        locks = self._locks()
        if locks and self.apply(locks):
            limits = self.limits()
            if limits is not None and all(low == high for low, high in limits.values()):
                return GrantedClock("locked", {core: high for core, (_, high) in limits.items()})
            self.give_back()
        if self._sdk >= _FIXED_PERFORMANCE_SINCE:
            fixed = Change(f"{_FIXED} true", f"{_FIXED} false")
            if self.apply([fixed]):
                highest = {core: high for core, (_, high) in (self.limits() or {}).items()}
                return GrantedClock("fixed_performance", highest)
            self.give_back()
        return GrantedClock("free")

    def _locks(self) -> list[Change]:
        """Raises each core's lowest clock to its highest; empty where its limits are not known."""
        limits = self.limits()
        if not limits:
            return []
        root = self._as_root()
        changes: list[Change] = []
        for core, (low, high) in limits.items():
            path = f"{CLOCK.format(core=core)}/scaling_min_freq"
            changes.append(Change(root(f"echo {high} > {path}"), root(f"echo {low} > {path}")))
        return changes

    def _as_root(self) -> Callable[[str], str]:
        """How a command is given that only root may; as it is where there is no way."""
        if (self.say("id -u") or "").strip() != "0":
            for wrapped in self.root_shells:
                if (self.say(wrapped("id -u")) or "").strip() == "0":
                    return wrapped
        return lambda command: command

    def limits(self) -> dict[int, tuple[int, int]] | None:
        """Lowest and highest clock that each core may take, kHz; None where one does not say."""
        limits: dict[int, tuple[int, int]] = {}
        for core in self.cores:
            folder = CLOCK.format(core=core)
            said = self.say(f"cat {folder}/scaling_min_freq {folder}/scaling_max_freq")
            values = [int(value) for value in (said or "").split() if value.isdecimal()]
            if len(values) != 2:  # noqa: PLR2004 (lowest and highest)
                return None
            limits[core] = (values[0], values[1])
        return limits
