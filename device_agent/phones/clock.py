"""The phone's settings, the clocks among them: set for measuring, journalled there, given back.

Every change is preceded by a line in a journal on the phone that undoes it, so whoever comes next
can put right what a killed agent left.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from device_agent.errors import DeviceNotReady
from device_agent.phones.files import QUICK_S, ROOT
from device_agent.transports.base import Transport
from netspec.protocol import ClockPolicy

JOURNAL = ROOT / "journal"
#: Android 11
_FIXED_PERFORMANCE_SINCE = 30
_CLOCK = "/sys/devices/system/cpu/cpu{core}/cpufreq"
_FIXED = "cmd power set-fixed-performance-mode-enabled"
#: what a phone prints that does not know this mode, whatever its exit code
_REFUSED = "Failed to set"
#: Magisk's `su`, then that of Android's own userdebug builds
_SU: tuple[Callable[[str], str], ...] = (
    lambda command: f"su -c {shlex.quote(command)}",
    lambda command: f"su 0 sh -c {shlex.quote(command)}",
)


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


@dataclass(frozen=True)
class Change:
    """A command that changes a setting, and the one that undoes it."""

    do: str
    undo: str


class JournalledSettings:
    """Settings of a phone that are changed for a while.

    Args:
        transport: to the phone.
        journal: file on the phone that says how to undo what was changed.
    """

    def __init__(self, transport: Transport, journal: PurePosixPath) -> None:
        self._transport = transport
        self._journal = journal

    def give_back(self) -> bool:
        """Undoes what the journal lists, the last change first; whether there was anything."""
        journal = self._shell(f"cat {self._journal}")
        if journal is None:
            return False
        undo = journal.splitlines()[::-1]
        # One that fails must not keep the others from being undone, nor be forgotten.
        tries = "; ".join(f"{{ {line}; }} || left=1" for line in undo)
        if self._shell(f'left=; {tries}; [ -z "$left" ] && rm -f {self._journal}') is None:
            raise DeviceNotReady(
                f"{self._transport.serial} does not take its settings back ({'; '.join(undo)}); "
                f"restart it, then remove {self._journal}"
            )
        return True

    def apply(self, changes: Sequence[Change]) -> bool:
        """Makes all changes or none; each is in the journal before it is made."""
        changes_made: list[Change] = []
        for change in changes:
            self._note([*changes_made, change])
            said = self._shell(change.do)
            if said is None or _REFUSED in said:
                self._note(changes_made)
                self.give_back()
                return False
            changes_made.append(change)
        return True

    def _note(self, changes: Sequence[Change]) -> None:
        """Writes the journal; without changes there is none."""
        lines = shlex.join(change.undo for change in changes)
        command = (
            f"printf '%s\\n' {lines} > {self._journal}" if changes else f"rm -f {self._journal}"
        )
        if self._shell(command) is None:
            raise DeviceNotReady(f"{self._transport.serial} lets nobody write {self._journal}")

    def _shell(self, command: str) -> str | None:
        """What it said, None where it failed."""
        result = self._transport.shell(command, timeout_s=QUICK_S, merged=True)
        return None if result.exit_code else result.output


class PhoneClock(JournalledSettings):
    """Sets and gives back the clock of the measured cores.

    Args:
        transport: to the phone.
        cores: measured on; none where they are not known.
        sdk: Android's API level.
    """

    def __init__(self, transport: Transport, cores: Sequence[int], sdk: int) -> None:
        super().__init__(transport, JOURNAL)
        self._cores = tuple(cores)
        self._sdk = sdk

    def steady(self) -> GrantedClock:
        """Takes the steadiest policy that the phone grants: locked, fixed performance, free.

        A policy is granted when the phone's files show it, not when a command says so.
        """
        locks = self._locks()
        if locks and self.apply(locks):
            limits = self._limits()
            if limits is not None and all(low == high for low, high in limits.values()):
                return GrantedClock("locked", {core: high for core, (_, high) in limits.items()})
            self.give_back()
        if self._sdk >= _FIXED_PERFORMANCE_SINCE:
            fixed = Change(f"{_FIXED} true", f"{_FIXED} false")
            if self.apply([fixed]):
                highest = {core: high for core, (_, high) in (self._limits() or {}).items()}
                return GrantedClock("fixed_performance", highest)
            self.give_back()
        return GrantedClock("free")

    def _locks(self) -> list[Change]:
        """Raises each core's lowest clock to its highest; empty where its limits are not known."""
        limits = self._limits()
        if not limits:
            return []
        root = self._as_root()
        changes: list[Change] = []
        for core, (low, high) in limits.items():
            path = f"{_CLOCK.format(core=core)}/scaling_min_freq"
            changes.append(Change(root(f"echo {high} > {path}"), root(f"echo {low} > {path}")))
        return changes

    def _as_root(self) -> Callable[[str], str]:
        """How a command is given that only root may; as it is where there is no way."""
        if (self._shell("id -u") or "").strip() != "0":
            for wrapped in _SU:
                if (self._shell(wrapped("id -u")) or "").strip() == "0":
                    return wrapped
        return lambda command: command

    def _limits(self) -> dict[int, tuple[int, int]] | None:
        """Lowest and highest clock that each core may take, kHz; None where one does not say."""
        limits: dict[int, tuple[int, int]] = {}
        for core in self._cores:
            folder = _CLOCK.format(core=core)
            said = self._shell(f"cat {folder}/scaling_min_freq {folder}/scaling_max_freq")
            values = [int(value) for value in (said or "").split() if value.isdecimal()]
            if len(values) != 2:  # noqa: PLR2004 (lowest and highest)
                return None
            limits[core] = (values[0], values[1])
        return limits
