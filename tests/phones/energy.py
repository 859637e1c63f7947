"""A phone whose energy follows a law that a test can solve, told by counters with their faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.phones.fake_phone import FakePhone

SERVICE = "android.hardware.power.stats.IPowerStats/default"
_IIO = "/sys/bus/iio/devices/iio:device{number}/energy_value"
_BATTERY = "/sys/class/power_supply/battery"
_WARMUPS = 2
#: uAh of a mJ at a uV
_UAH = 1 / 3600e-9


@dataclass
class EnergyLaw:
    """What a phone takes while nothing runs, for a launch, and for each inference."""

    phone: FakePhone
    #: mW at an uptime in s, and its integral from 0, mJ
    idle_mj: Callable[[float], float] = lambda at_s: 400.0 * at_s
    inference_mj: float = 1.5
    #: of a launch by itself
    load_mj: float = 60.0
    load_s: float = 0.1
    run_us: int = 1000
    #: of all energy, on each rail
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "S1M_VDD_MIF": 0.1,
            "S2M_VDD_CPUCL2": 0.4,
            "S3M_VDD_CPUCL1": 0.2,
            "S4M_VDD_CPUCL0": 0.1,
            "S5M_VDD_INT": 0.1,
            "VSYS_PWR_DISPLAY": 0.1,
        }
    )
    #: the counters hold what they were so often, s; 0: they are up to date
    holds_s: float = 0.0
    #: they count in steps of so many units
    step: int = 1
    #: where they begin anew; 0: nowhere
    wraps_at: int = 0
    #: uptimes at which they are set back
    resets_at_s: tuple[float, ...] = ()
    #: that a battery has, uV
    voltage_uv: int = 3_900_000
    #: from, to, and energy of each launch
    spent: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def counted_mj(self) -> float:
        """Of an inference on the rails of the SoC, all but the display's."""
        return self.inference_mj * (1 - self.shares["VSYS_PWR_DISPLAY"])

    def install(self) -> None:
        """The phone tells its energy in every way."""
        state = self.phone.state
        state.live_files = self._files
        state.live_services[SERVICE] = self._service

    async def launch(self, flags: Mapping[str, str]) -> int:
        """Time passes and energy is taken; the counted runs."""
        run_s = self.run_us / 1e6
        count = max(int(flags["num_runs"]), math.ceil(float(flags["min_secs"]) / run_s))
        lasts_s = self.load_s + (count + _WARMUPS) * run_s
        began_s = self.phone.uptime_s
        energy_mj = self.load_mj + self.inference_mj * (count + _WARMUPS)
        self.spent.append((began_s, began_s + lasts_s, energy_mj))
        await self.phone.pass_time(lasts_s)
        return count

    def total_mj(self, at_s: float) -> float:
        """All energy that the phone has taken until then."""
        launched = sum(
            energy * min(max((at_s - begin) / (end - begin), 0.0), 1.0)
            for begin, end, energy in self.spent
        )
        return self.idle_mj(at_s) + launched

    def _count(self, share: float) -> int:
        """A counter's, uWs."""
        at_s = self._moment_s()
        set_back_s = max((one for one in self.resets_at_s if one <= at_s), default=0.0)
        counts = int(share * 1000 * (self.total_mj(at_s) - self.total_mj(set_back_s)))
        counts -= counts % self.step
        return counts % self.wraps_at if self.wraps_at else counts

    def _moment_s(self) -> float:
        at_s = self.phone.uptime_s
        return at_s - at_s % self.holds_s if self.holds_s else at_s

    def _files(self) -> dict[str, str]:
        at_ms = int(1000 * self._moment_s())
        lines = [
            f"CH{number}(T={at_ms})[{rail}], {self._count(share)}"
            for number, (rail, share) in enumerate(self.shares.items())
        ]
        half = len(lines) // 2
        taken_uah = int(self.total_mj(self._moment_s()) * _UAH / self.voltage_uv)
        return {
            _IIO.format(number=0): "\n".join([f"t={at_ms}", *lines[:half]]),
            _IIO.format(number=1): "\n".join([f"t={at_ms}", *lines[half:]]),
            f"{_BATTERY}/charge_counter": str(3_000_000 - taken_uah + taken_uah % self.step),
            f"{_BATTERY}/voltage_now": str(self.voltage_uv),
        }

    def _service(self) -> str:
        lines = "".join(
            f"  {f'[{rail}]:Sub':>32}   {self._count(share) / 1000:>14.2f} mWs\n"
            for rail, share in self.shares.items()
        )
        return (
            "\n============= PowerStats HAL 2.0 energy meter ==============\n"
            f"  {'Channel':>32}   {'Cumulative Energy':>18}\n{lines}"
            "========== End of energy meter ==========\n"
        )
