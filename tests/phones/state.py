"""What a phone of the tests is and feels like: the one description behind both kinds of phones.

`adbd.py` writes it out as the files of a chroot, `fake_phone.py` answers from it at each question.

Formats: `dumpsys thermalservice`, `battery` and `power` as Android 12 prints them; thermal zones
and clocks as Linux's sysfs does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

#: Android's thermal status from which on CPU times are useless
THERMAL_LIGHT, THERMAL_SEVERE = 1, 3


@dataclass
class PhoneState:
    """Change a field, and the phone says so from then on (an adbd phone after `refresh`)."""

    serial: str = "TESTPHONE0001"
    model: str = "Pixel Test"
    soc: str = "TestSoC 9000"
    abi: str = "arm64-v8a"
    android: str = "12"
    sdk: int = 31
    fingerprint: str = "test/testphone/testphone:12/TP1A.220624.014/1:user/release-keys"
    #: whether the shell is root's
    root: bool = False
    #: percent
    battery_level: int = 80
    battery_celsius: float = 27.5
    plugged: bool = True
    #: 0 none, 1 light, 2 moderate, 3 severe, 4 critical
    thermal_status: int = 0
    thermal_override: bool = False
    cpu_celsius: float = 38.0
    skin_celsius: float = 30.1
    #: cores of each cluster, and its highest clock in kHz
    clusters: tuple[tuple[tuple[int, ...], int], ...] = (
        ((0, 1, 2, 3), 1_800_000),
        ((4, 5, 6), 2_400_000),
        ((7,), 2_840_000),
    )
    #: Awake, Dozing or Asleep
    wakefulness: str = "Awake"
    fixed_performance: bool = False
    #: whether it dozes when it sleeps
    doze_enabled: bool = True
    #: what `settings get global|system|secure KEY` says
    settings: dict[tuple[str, str], str] = field(
        default_factory=lambda: {("global", "low_power"): "0", ("global", "airplane_mode_on"): "0"}
    )
    #: properties beside those below, or instead of them
    more_properties: dict[str, str] = field(default_factory=dict)
    #: files of /sys and /proc beside those below, or instead of them; None: there is none
    more_files: dict[str, str | None] = field(default_factory=dict)
    #: files that say something else at each look
    live_files: Callable[[], dict[str, str]] = dict
    #: what `dumpsys SERVICE` prints of further services
    live_services: dict[str, Callable[[], str]] = field(default_factory=dict)

    @property
    def cores(self) -> list[int]:
        """All cores, ascending."""
        return sorted(core for cores, _ in self.clusters for core in cores)

    def properties(self) -> dict[str, str]:
        """What `getprop` says."""
        return {
            "ro.serialno": self.serial,
            "ro.product.model": self.model,
            "ro.product.manufacturer": "Testers",
            "ro.product.cpu.abi": self.abi,
            "ro.product.cpu.abilist": self.abi,
            "ro.soc.model": self.soc,
            "ro.soc.manufacturer": "Testers",
            "ro.board.platform": "testboard",
            "ro.build.version.release": self.android,
            "ro.build.version.sdk": str(self.sdk),
            "ro.build.fingerprint": self.fingerprint,
            "ro.build.id": "TP1A.220624.014",
            "ro.build.type": "user",
            "sys.boot_completed": "1",
        } | self.more_properties

    def dumpsys(self, service: str) -> str | None:
        """What `dumpsys SERVICE` prints; None where there is no such service."""
        if service in self.live_services:
            return self.live_services[service]()
        if service == "thermalservice" and self.sdk >= 29:
            return self._thermalservice()
        if service == "battery":
            return self._battery()
        if service == "power":
            return (
                "POWER MANAGER (dumpsys power)\n\nPower Manager State:\n"
                f"  mWakefulness={self.wakefulness}\n  mStayOn=false\n"
            )
        return None

    def files(self) -> dict[str, str]:
        """Files of /sys and /proc that phones have; a newline ends each."""
        found: dict[str, str | None] = dict(self._clock_files())
        span = f"0-{self.cores[-1]}" if len(self.cores) > 1 else "0"
        for name in ("possible", "present", "online"):
            found[f"/sys/devices/system/cpu/{name}"] = span
        zones = (("cpu-0-0-usr", self.cpu_celsius), ("battery", self.battery_celsius))
        for number, (kind, celsius) in enumerate(zones):
            found[f"/sys/class/thermal/thermal_zone{number}/type"] = kind
            found[f"/sys/class/thermal/thermal_zone{number}/temp"] = str(round(celsius * 1000))
        found |= self.live_files()
        found |= self.more_files
        return {path: f"{text}\n" for path, text in found.items() if text is not None}

    def _clock_files(self) -> Iterator[tuple[str, str]]:
        for cores, highest in self.clusters:
            for core in cores:
                folder = f"/sys/devices/system/cpu/cpu{core}"
                yield f"{folder}/cpufreq/cpuinfo_max_freq", str(highest)
                yield f"{folder}/cpufreq/cpuinfo_min_freq", "300000"
                yield f"{folder}/cpufreq/scaling_max_freq", str(highest)
                yield f"{folder}/cpufreq/scaling_min_freq", "300000"
                yield f"{folder}/cpufreq/scaling_cur_freq", str(highest)
                yield f"{folder}/cpufreq/scaling_governor", "schedutil"
                yield f"{folder}/topology/physical_package_id", "0"

    def _thermalservice(self) -> str:
        readings = "\n".join(
            f"\tTemperature{{mValue={value}, mType={kind}, mName={name}, mStatus={status}}}"
            for value, kind, name, status in (
                (self.cpu_celsius, 0, "cpu0-silver-usr", self.thermal_status),
                (0.0, 0, "cpu-unconnected", 0),
                (round(self.cpu_celsius - 2, 1), 1, "gpu0-usr", 0),
                (self.battery_celsius, 2, "battery", 0),
                (self.skin_celsius, 3, "skin", self.thermal_status),
            )
        )
        return (
            f"IsStatusOverride: {'true' if self.thermal_override else 'false'}\n"
            "ThermalEventListeners:\n\tcallbacks: 2\n\tkilled: false\n\tbroadcasts count: -1\n"
            "ThermalStatusListeners:\n\tcallbacks: 1\n\tkilled: false\n\tbroadcasts count: -1\n"
            f"Thermal Status: {self.thermal_status}\n"
            f"Cached temperatures:\n{readings}\n"
            "HAL Ready: true\nHAL connection:\n\tThermalHAL 2.0 connected: yes\n"
            f"Current temperatures from HAL:\n{readings}\n"
            "Current cooling devices from HAL:\n"
            "\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}\n"
            "Temperature static thresholds from HAL:\n"
        )

    def _battery(self) -> str:
        return (
            "Current Battery Service state:\n"
            f"  AC powered: false\n  USB powered: {'true' if self.plugged else 'false'}\n"
            "  Wireless powered: false\n  Max charging current: 500000\n"
            f"  status: {2 if self.plugged else 3}\n  health: 2\n  present: true\n"
            f"  level: {self.battery_level}\n  scale: 100\n  voltage: 4175\n"
            f"  temperature: {round(self.battery_celsius * 10)}\n  technology: Li-ion\n"
        )
