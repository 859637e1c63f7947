from __future__ import annotations

from device_agent.phones.discovery import ListedPhone, listed_once
from device_agent.transports.base import PhoneRoute


def test_a_phone_seen_through_both_ways_is_listed_once() -> None:
    seen = [
        ListedPhone("192.168.1.20:5555", "tcp", number="R58"),
        ListedPhone("R58", "adb-server", number="R58"),
        ListedPhone("R59", "usb", number="R59"),
    ]
    assert listed_once(seen) == [
        ListedPhone(
            "R58",
            "adb-server",
            number="R58",
            also=(PhoneRoute("192.168.1.20:5555", "tcp"),),
        ),
        ListedPhone("R59", "usb", number="R59"),
    ]


def test_straight_to_the_phone_beats_a_server_that_only_passes_tcp_on() -> None:
    address = "192.168.1.20:5555"
    seen = [
        ListedPhone(address, "adb-server", number="R58"),
        ListedPhone(address, "tcp", number="R58"),
    ]
    (phone,) = listed_once(seen)
    assert (phone.way, phone.also) == ("tcp", (PhoneRoute(address, "adb-server"),))


def test_phones_without_a_number_of_their_own_stay_apart() -> None:
    seen = [
        ListedPhone("a:1", "tcp", number="unknown"),
        ListedPhone("b:1", "tcp", number="unknown"),
        ListedPhone("c:1", "tcp", problem="no answer"),
        ListedPhone("c:1", "adb-server", problem="is offline"),
    ]
    assert listed_once(seen) == seen
