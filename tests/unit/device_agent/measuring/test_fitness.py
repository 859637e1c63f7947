from collections.abc import Sequence
from typing import cast

import pytest

from device_agent.errors import DeviceNotReady
from device_agent.measuring.device import MeasuringDevice
from device_agent.measuring.fitness import Fitness
from netspec.protocol import CoolDown, MeasurementProtocol
from netspec.wire import Conditions

COOL, HOT = Conditions(thermal_status=0, steps=("clock free",)), Conditions(thermal_status=2)
CLOSED = "gate thermal status 2, at most 0 wanted"


class Phone:
    """Says how it feels from a script; the last word repeats."""

    serial = "P"

    def __init__(self, feels: Sequence[Conditions]) -> None:
        self._feels = list(feels)
        self.looks = 0

    def observe(self) -> Conditions:
        self.looks += 1
        return self._feels.pop(0) if len(self._feels) > 1 else self._feels[0]


def fitness(phone: Phone, cool_down: CoolDown | None = None, stops_after: int = 100) -> Fitness:
    rules = cool_down or CoolDown(seconds=0, times=2, then="hand_back")
    protocol = MeasurementProtocol(cool_down=rules)
    return Fitness(cast("MeasuringDevice", phone), protocol, lambda: phone.looks < stops_after)


def test_a_fit_device_is_looked_at_once() -> None:
    phone = Phone([COOL])
    assert fitness(phone).wait(None) == ("clock free", "gate open")
    assert phone.looks == 1


def test_a_device_that_cools_down_in_time_is_measured_and_the_pauses_are_told() -> None:
    phone = Phone([HOT, HOT, COOL])
    made = fitness(phone)
    assert made.wait(None) == ("clock free", "gate open", "cooled down 2 times")
    assert made.wait(None) == ("clock free", "gate open"), "the next time counts anew"


def test_a_device_that_stays_unfit_is_handed_back_or_measured_as_the_protocol_says() -> None:
    with pytest.raises(DeviceNotReady, match="P is not fit to be measured: thermal status 2"):
        fitness(Phone([HOT])).wait(None)
    measured = fitness(Phone([HOT]), CoolDown(seconds=0, times=1, then="measure")).wait(None)
    assert measured == (CLOSED, "cooled down 1 times")


def test_a_slow_anchor_is_waited_for_once_since_it_alone_tells_how_it_went() -> None:
    phone = Phone([COOL])
    made = fitness(phone)
    steps = made.wait(1.2)
    assert steps[1:] == ("gate the anchor took 1.20 times its reference", "cooled down 1 times")
    assert (phone.looks, made.may_cool_down) == (1, True)
    made.wait(1.2)
    assert not made.may_cool_down
    with pytest.raises(DeviceNotReady, match=r"the anchor took 1\.20 times its reference"):
        made.wait(1.2)


def test_a_stop_ends_a_pause() -> None:
    phone = Phone([HOT])
    assert fitness(phone, CoolDown(seconds=3600, times=1, then="hand_back"), 1).wait(None) == (
        CLOSED,
    )
