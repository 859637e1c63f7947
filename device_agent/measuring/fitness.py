"""Waiting until a device is fit to be measured: the gate, and cooling down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from device_agent.errors import DeviceNotReady
from device_agent.measuring.device import MeasuringDevice
from device_agent.measuring.gate import objections
from device_agent.measuring.pause import pause
from netspec.protocol import MeasurementProtocol
from netspec.wire import Conditions

_MAX_STEP = 200

_log = structlog.get_logger()


@dataclass
class Fitness:
    """Looks through the gate before each stretch, and counts how often the device cooled down.

    Args:
        device: looked at.
        protocol: its gate, and how to cool down.
        go_on: a no ends every pause.
    """

    device: MeasuringDevice
    protocol: MeasurementProtocol
    go_on: Callable[[], bool]

    _cool_downs: int = 0

    @property
    def may_cool_down(self) -> bool:
        """Whether another pause is allowed before the device is given up."""
        return self._cool_downs < self.protocol.cool_down.times

    def wait(self, slow_ratio: float | None) -> tuple[str, ...]:
        """Waits until the device is fit, and says what was done for that.

        Args:
            slow_ratio: the anchor's time over its reference where that is too much, else None.

        Raises:
            DeviceNotReady: it does not get fit, and the protocol says to hand the work back.
        """
        rules = self.protocol.cool_down
        steps: tuple[str, ...] = ()
        while self.go_on():
            seen = self.device.observe()
            against = objections(seen, self.protocol.gate)
            if slow_ratio is not None:
                against = (*against, f"the anchor took {slow_ratio:.2f} times its reference")
            steps = self._steps(seen, against)
            if not against:
                self._cool_downs = 0
                break
            why = "; ".join(against)
            if not self.may_cool_down:
                if rules.then == "hand_back":
                    raise DeviceNotReady(f"{self.device.serial} is not fit to be measured: {why}")
                break
            self._cool_downs += 1
            _log.info("cooling down", s=rules.seconds, device=self.device.serial, why=why)
            pause(rules.seconds, self.go_on)
            if slow_ratio is not None:
                # Only the anchor itself can tell whether it is fast again.
                steps = self._steps(seen, against)
                break
        return steps

    def _steps(self, conditions: Conditions, against: tuple[str, ...]) -> tuple[str, ...]:
        gate = ("gate " + ("; ".join(against) or "open"))[:_MAX_STEP]
        cooled = (f"cooled down {self._cool_downs} times",) if self._cool_downs else ()
        return (*conditions.steps, gate, *cooled)
