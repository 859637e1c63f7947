"""The phone's clocks: set for measuring, journalled on the phone, given back.

Every change is preceded by a line in a journal on the phone that undoes it, so whoever comes next
can put right what a killed agent left.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from device_agent.errors import DeviceNotReady
from device_agent.phones.files import QUICK_S, ROOT
from device_agent.transports.base import Transport
from netspec.protocol import ClockPolicy

JOURNAL = ROOT / "journal"
#: Android 11
_FIXED_PERFORMANCE_SINCE = 30
_CLOCK = "/sys/devices/system/cpu/cpu{core}/cpufreq"
_FIXED = "cmd power set-fixed-performance-mode-enabled"


@dataclass(frozen=True)
class _Change:
    do: str
    undo: str


class PhoneClock:
    """Sets and gives back the clock of the measured cores.

    Args:
        transport: to the phone.
        cores: measured on; none where they are not known.
        sdk: Android's API level.
    """

    def __init__(self, transport: Transport, cores: Sequence[int], sdk: int) -> None:
        self._transport = transport
        self._cores = tuple(cores)
        self._sdk = sdk

    def give_back(self) -> bool:
        """Undoes what the journal lists, the last change first; whether there was anything."""
        journal = self._shell(f"cat {JOURNAL}")
        if journal is None:
            return False
        undo = journal.splitlines()[::-1]
        # One that fails must not keep the others from being undone, nor be forgotten.
        tries = "; ".join(f"{{ {line}; }} || left=1" for line in undo)
        if self._shell(f'left=; {tries}; [ -z "$left" ] && rm -f {JOURNAL}') is None:
            raise DeviceNotReady(
                f"{self._transport.serial} does not take its settings back ({'; '.join(undo)}); "
                f"restart it, then remove {JOURNAL}"
            )
        return True

    def steady(self) -> ClockPolicy:
        """Takes the steadiest policy that the phone grants: locked, fixed performance, free."""
        locks = self._locks()
        if locks and self._apply(locks):
            if self._is_locked():
                return "locked"
            self.give_back()
        if self._sdk >= _FIXED_PERFORMANCE_SINCE:
            fixed = _Change(f"{_FIXED} true", f"{_FIXED} false")
            if self._apply([fixed]):
                return "fixed_performance"
            self.give_back()
        return "free"

    def _locks(self) -> list[_Change]:
        """Raises each core's lowest clock to its highest; empty where its limits are not known."""
        changes: list[_Change] = []
        for core in self._cores:
            folder = _CLOCK.format(core=core)
            limits = self._shell(f"cat {folder}/scaling_min_freq {folder}/scaling_max_freq")
            values = (limits or "").split()
            if len(values) != 2:  # noqa: PLR2004 (lowest and highest)
                return []
            low, high = values
            path = f"{folder}/scaling_min_freq"
            changes.append(_Change(f"echo {high} > {path}", f"echo {low} > {path}"))
        return changes

    def _is_locked(self) -> bool:
        folders = [_CLOCK.format(core=core) for core in self._cores]
        for folder in folders:
            limits = self._shell(f"cat {folder}/scaling_min_freq {folder}/scaling_max_freq") or ""
            if len(set(limits.split())) != 1:
                return False
        return True

    def _apply(self, changes: Sequence[_Change]) -> bool:
        """Makes all changes or none; each is in the journal before it is made."""
        changes_made: list[_Change] = []
        for change in changes:
            self._note([*changes_made, change])
            if self._shell(change.do) is None:
                self._note(changes_made)
                self.give_back()
                return False
            changes_made.append(change)
        return True

    def _note(self, changes: Sequence[_Change]) -> None:
        """Writes the journal; without changes there is none."""
        lines = shlex.join(change.undo for change in changes)
        command = f"printf '%s\\n' {lines} > {JOURNAL}" if changes else f"rm -f {JOURNAL}"
        if self._shell(command) is None:
            raise DeviceNotReady(f"{self._transport.serial} lets nobody write {JOURNAL}")

    def _shell(self, command: str) -> str | None:
        """What it said, None where it failed."""
        result = self._transport.shell(command, timeout_s=QUICK_S, merged=True)
        return None if result.exit_code else result.output
