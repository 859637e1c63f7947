"""A phone whose cpufreq driver says how long the measured core had each clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.phones.fake_phone import FakePhone

_TABLE = "/sys/devices/system/cpu/cpu{core}/cpufreq/stats/time_in_state"
SLOW, MIDDLE, FAST = 300_000, 1_300_000, 2_840_000


@dataclass
class ClockTable:
    """Ticks of 10 ms by kHz since the phone started, as its file prints them."""

    phone: FakePhone
    core: int = 7
    ticks: dict[int, int] = field(default_factory=lambda: {SLOW: 90_210, MIDDLE: 4_000, FAST: 77})

    def install(self) -> None:
        """The phone has the file."""
        self.phone.state.live_files = lambda: {
            _TABLE.format(core=self.core): "\n".join(
                f"{khz} {ticks}" for khz, ticks in self.ticks.items()
            )
        }

    def passes(self, **ticks: int) -> None:
        """The core has these clocks for so many ticks: `fast=15, middle=2`."""
        for name, more in ticks.items():
            self.ticks[{"slow": SLOW, "middle": MIDDLE, "fast": FAST}[name]] += more
