"""A phone that warms up as it runs, by a law that a test can solve."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.phones.fake_phone import FakePhone
from tests.phones.state import THERMAL_LIGHT

_CLOCK = "/sys/devices/system/cpu/cpu7/cpufreq/scaling_cur_freq"


@dataclass
class ThermalCurve:
    """hot - (hot - cold) * exp(-t / tau), Newton's law; from `trip` on a slower clock."""

    cold: float = 38.0
    hot: float = 70.0
    trip: float = 60.0
    tau_s: float = 60.0
    #: of the largest core, kHz
    full_khz: int = 2_840_000
    throttled_khz: int = 2_272_000
    #: of a run at the full clock, us
    full_us: int = 500

    ran_s: float = 0.0

    @property
    def trips_after_s(self) -> float:
        """Seconds of running until the clock falls."""
        return self.tau_s * math.log((self.hot - self.cold) / (self.hot - self.trip))

    @property
    def throttled_us(self) -> int:
        """Of a run from then on."""
        return round(self.full_us * self.full_khz / self.throttled_khz)

    def warm(self, phone: FakePhone, seconds: float) -> int:
        """The phone has run for so long, and feels and says it; the median run, us."""
        middle = self.ran_s + seconds / 2
        self.ran_s += seconds
        warm = (self.hot - self.cold) * math.exp(-self.ran_s / self.tau_s)
        throttled = self.ran_s > self.trips_after_s
        phone.heat_up(THERMAL_LIGHT if throttled else 0, self.hot - warm)
        phone.state.more_files[_CLOCK] = str(self.throttled_khz if throttled else self.full_khz)
        return self.throttled_us if middle > self.trips_after_s else self.full_us
