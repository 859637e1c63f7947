"""The clock of a board: locked by root, or as its owner has set it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from device_agent.phones.settings.clock import CLOCK, GrantedClock, PhoneClock
from device_agent.transports.base import Transport


class BoardClock(PhoneClock):
    """Locks clocks by `sudo` where that asks for no password; else takes them as they are.

    Args:
        transport: to the board.
        cores: measured on; none where they are not known.
    """

    root_shells = (lambda command: f"sudo -n sh -c {shlex.quote(command)}",)

    def __init__(self, transport: Transport, cores: Sequence[int]) -> None:
        super().__init__(transport, cores, sdk=0)

    def steady(self) -> GrantedClock:
        """Takes the steadiest policy that the board grants: locked, always the highest, free."""
        limits = self.limits() or {}
        highest = {core: high for core, (_, high) in limits.items()}
        if limits and all(low == high for low, high in limits.values()):
            return GrantedClock("locked", highest)
        granted = super().steady()
        if granted.policy == "free" and limits and self._governors() == {"performance"}:
            return GrantedClock("fixed_performance", highest)
        return granted

    def _governors(self) -> set[str]:
        files = (f"{CLOCK.format(core=core)}/scaling_governor" for core in self.cores)
        return set((self.say(f"cat {' '.join(files)}") or "").split())
