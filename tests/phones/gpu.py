"""A phone whose GPU tells its clock as devfreq does."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.phones.fake_phone import FakePhone

KGSL = "/sys/class/kgsl/kgsl-3d0/devfreq"
SLOW, MIDDLE, FAST = 180_000_000, 443_000_000, 850_000_000
_NAMES = {"slow": SLOW, "middle": MIDDLE, "fast": FAST}


@dataclass
class FakeGpu:
    """Its limits, its clock (Hz) and how long it had which (ms), as its files print them."""

    phone: FakePhone
    folder: str = KGSL
    now: int = FAST
    ms: dict[int, int] = field(default_factory=lambda: {SLOW: 902_100, MIDDLE: 40_000, FAST: 770})

    def install(self) -> None:
        """The phone has the files."""
        state = self.phone.state
        others = state.live_files
        state.live_files = lambda: others() | self.files()

    def files(self) -> dict[str, str]:
        """All of its files; those that are written to say what was written."""
        return {
            f"{self.folder}/min_freq": str(SLOW),
            f"{self.folder}/max_freq": str(FAST),
            f"{self.folder}/cur_freq": str(self.now),
            f"{self.folder}/trans_stat": self.trans_stat(),
        }

    def trans_stat(self) -> str:
        """How the kernel's `trans_stat_show` prints it."""
        rows = [
            f"{'*' if clock == self.now else ' '}{clock:10}:{1:10}{0:10}{2:10}{ms:10}"
            for clock, ms in self.ms.items()
        ]
        head = [
            "     From  :   To",
            f"           :{''.join(f'{one:10}' for one in self.ms)}   time(ms)",
        ]
        return "\n".join([*head, *rows, "Total transition : 9"])

    def passes(self, **ms: int) -> None:
        """It has these clocks for so many ms: `fast=150, middle=20`."""
        for name, more in ms.items():
            self.ms[_NAMES[name]] += more

    def limit(self, **clocks: str) -> None:
        """Its limits are others: `max="443000000"`."""
        self.phone.state.more_files |= {
            f"{self.folder}/{which}_freq": clock for which, clock in clocks.items()
        }
