"""The clock of a phone: set for measuring, and given back."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from device_agent.phones.settings.gpu_clock import GpuClock, GrantedGpu
from device_agent.phones.settings.journal import Change, JournalledSettings
from device_agent.transports.base import Transport
from netspec.protocol import ClockPolicy, MeasurementProtocol

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
    #: of the GPU that runs the models; None where none does, or it tells nothing of its clock
    gpu: GrantedGpu | None = None

    @property
    def locked_khz(self) -> tuple[int, ...] | None:
        """By core, of cores that are locked."""
        if self.policy != "locked":
            return None
        return tuple(khz for _, khz in sorted(self.limits.items()))

    @property
    def locked_gpu_khz(self) -> int | None:
        """Of a GPU that is locked."""
        return self.gpu.limit_khz if self.gpu is not None and self.gpu.is_locked else None

    def is_as(self, other: GrantedClock) -> bool:
        """Whether latencies under both may be compared."""
        ours, others = ((one.policy, one.locked_khz, one.locked_gpu_khz) for one in (self, other))
        return ours == others

    def __str__(self) -> str:
        at = sorted(set(self.locked_khz or ()))
        gpu = () if self.locked_gpu_khz is None else (f"GPU {self.locked_gpu_khz / 1000:g} MHz",)
        return " ".join([self.policy, *(f"{khz / 1000:g} MHz" for khz in at), *gpu])


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
        root = self.as_root()
        changes: list[Change] = []
        for core, (low, high) in limits.items():
            path = f"{CLOCK.format(core=core)}/scaling_min_freq"
            changes.append(Change(root(f"echo {high} > {path}"), root(f"echo {low} > {path}")))
        return changes

    def as_root(self) -> Callable[[str], str]:
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


@dataclass(frozen=True)
class DeviceClocks:
    """The clocks that a device is measured at."""

    cores: PhoneClock
    gpu: GpuClock

    def take(self, protocol: MeasurementProtocol) -> GrantedClock:
        """What the device grants of what the protocol asks for; it stays taken."""
        if protocol.clock != "steadiest":
            return GrantedClock("free", gpu=self.gpu.told())
        granted = self.cores.steady()
        gpu = self.gpu.steady(self.cores.as_root, is_limited=bool(granted.limits))
        return replace(granted, gpu=gpu)

    def looked_up(self, protocol: MeasurementProtocol) -> GrantedClock:
        """What `take` would be granted."""
        try:
            return self.take(protocol)
        finally:
            self.give_back()

    def give_back(self) -> None:
        """Undoes what was taken, by this agent or by one that was killed."""
        try:
            self.gpu.give_back()
        finally:
            self.cores.give_back()
