"""The phone's settings: changed for measuring, journalled on the phone, given back.

Every change is preceded by a line in a journal on the phone that undoes it, so whoever comes next
can put right what a killed agent left.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from device_agent.errors import DeviceNotReady
from device_agent.phones.files import QUICK_S, folders_on
from device_agent.transports.base import Transport

#: what a phone prints that does not know a mode, whatever its exit code
_REFUSED = "Failed to set"


@dataclass(frozen=True)
class Change:
    """A command that changes a setting, and the one that undoes it."""

    do: str
    undo: str


class JournalledSettings:
    """Settings of a phone that are changed for a while.

    Args:
        transport: to the phone.
        journal: name of the file on the phone that says how to undo what was changed.
    """

    def __init__(self, transport: Transport, journal: str) -> None:
        self._transport = transport
        self._journal = folders_on(transport).root / journal

    def give_back(self) -> bool:
        """Undoes what the journal lists, the last change first; whether there was anything."""
        journal = self.say(f"cat {self._journal}")
        if journal is None:
            return False
        undo = journal.splitlines()[::-1]
        # One that fails must not keep the others from being undone, nor be forgotten.
        tries = "; ".join(f"{{ {line}; }} || left=1" for line in undo)
        if self.say(f'left=; {tries}; [ -z "$left" ] && rm -f {self._journal}') is None:
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
            said = self.say(change.do)
            if said is None or _REFUSED in said:
                self._note(changes_made)
                self.give_back()
                return False
            changes_made.append(change)
        return True

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Has what is changed meanwhile, or was by an agent that was killed, undone."""
        self.say(f"mkdir -p {self._journal.parent}")
        self.give_back()
        try:
            yield
        finally:
            self.give_back()
        self.say(f"rmdir {self._journal.parent}")

    def _note(self, changes: Sequence[Change]) -> None:
        """Writes the journal; without changes there is none."""
        lines = shlex.join(change.undo for change in changes)
        command = (
            f"printf '%s\\n' {lines} > {self._journal}" if changes else f"rm -f {self._journal}"
        )
        if self.say(command) is None:
            raise DeviceNotReady(f"{self._transport.serial} lets nobody write {self._journal}")

    def say(self, command: str) -> str | None:
        """What a command said on the device, None where it failed."""
        result = self._transport.shell(command, timeout_s=QUICK_S, merged=True)
        return None if result.exit_code else result.output
