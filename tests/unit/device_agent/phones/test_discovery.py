from __future__ import annotations

from device_agent.phones.discovery import SeenPhone, listed_once
from device_agent.transports.base import SeenThrough


def test_a_phone_seen_through_both_ways_is_listed_once() -> None:
    seen = [
        SeenPhone("192.168.1.20:5555", "tcp", number="R58"),
        SeenPhone("R58", "adb-server", number="R58"),
        SeenPhone("R59", "usb", number="R59"),
    ]
    assert listed_once(seen) == [
        SeenPhone(
            "R58",
            "adb-server",
            number="R58",
            also=(SeenThrough("192.168.1.20:5555", "tcp"),),
        ),
        SeenPhone("R59", "usb", number="R59"),
    ]


def test_straight_to_the_phone_beats_a_server_that_only_passes_tcp_on() -> None:
    address = "192.168.1.20:5555"
    seen = [SeenPhone(address, "adb-server", number="R58"), SeenPhone(address, "tcp", number="R58")]
    (phone,) = listed_once(seen)
    assert (phone.way, phone.also) == ("tcp", (SeenThrough(address, "adb-server"),))


def test_phones_without_a_number_of_their_own_stay_apart() -> None:
    seen = [
        SeenPhone("a:1", "tcp", number="unknown"),
        SeenPhone("b:1", "tcp", number="unknown"),
        SeenPhone("c:1", "tcp", problem="no answer"),
        SeenPhone("c:1", "adb-server", problem="is offline"),
    ]
    assert listed_once(seen) == seen
