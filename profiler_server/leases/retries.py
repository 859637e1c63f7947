"""When a failed task is tried again, when it is given up, and when a device rests."""

from __future__ import annotations

from collections.abc import Collection

#: a device that failed at a task so often speaks against the task;
_ENOUGH_ON_ONE_DEVICE = 2
#: so many such devices give it up,
_MOST_DEVICES = 2
#: and so many failures on a device, if no other one could try
MOST_FAILURES = 3
#: no rest is longer, s
_LONGEST_REST_S = 900.0


def is_poison(failures_by_device: Collection[int], *, others: bool) -> bool:
    """Whether it is the task's fault, and not the fault of one device.

    A broken device fails at everything, and a sound one may fail once: neither is the task's fault.

    Args:
        failures_by_device: of the task so far, those of each device that failed at it.
        others: whether a device that did not fail last could try.
    """
    against = sum(failures >= _ENOUGH_ON_ONE_DEVICE for failures in failures_by_device)
    tired = max(failures_by_device, default=0) >= MOST_FAILURES
    return against >= _MOST_DEVICES or (tired and not others)


def rest_of_task(failures: int, base_s: float) -> float:
    """Seconds before a task is leased again after so many failures: doubled at each."""
    return min(base_s * 2 ** (failures - 1), _LONGEST_REST_S) if failures else 0.0


def rest_of_device(fruitless: int, base_s: float) -> float:
    """Seconds before a device gets work again after so many leases in a row without a visit.

    None after the first: a lost answer or one task that cannot be measured is no ailment.
    """
    return rest_of_task(fruitless - 1, base_s) if fruitless else 0.0
