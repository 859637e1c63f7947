"""When a failed task is tried again, when it is given up, and when a device rests."""

from __future__ import annotations

#: a task is given up at so many failures,
MOST_FAILURES = 3
#: if they were on so many devices, or if no other device could try
_MOST_DEVICES = 2
#: no rest is longer, s
_LONGEST_REST_S = 900.0


def is_poison(failures: int, devices: int, *, others: bool) -> bool:
    """Whether it is the task's fault, and not the fault of one device.

    Args:
        failures: of the task so far.
        devices: on how many they were.
        others: whether a device that did not fail last could try.
    """
    return failures >= MOST_FAILURES and (devices >= _MOST_DEVICES or not others)


def rest_of_task(failures: int, base_s: float) -> float:
    """Seconds before a task is leased again after so many failures: doubled at each."""
    return min(base_s * 2 ** (failures - 1), _LONGEST_REST_S) if failures else 0.0


def rest_of_device(fruitless: int, base_s: float) -> float:
    """Seconds before a device gets work again after so many leases in a row without a visit.

    None after the first: a lost answer or one task that cannot be measured is no ailment.
    """
    return rest_of_task(fruitless - 1, base_s) if fruitless else 0.0
