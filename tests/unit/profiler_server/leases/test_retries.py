from __future__ import annotations

import pytest

from profiler_server.leases.retries import is_poison, rest_of_device, rest_of_task


@pytest.mark.parametrize(
    ("by_device", "others", "poison"),
    [
        ([1, 1], True, False),
        ([2, 2], True, True),
        # a sound device may fail once beside a broken one
        ([2, 1], True, False),
        ([1, 1, 1, 1], True, False),
        # it may be the device: another one shall try
        ([3], True, False),
        ([36], True, False),
        ([3], False, True),
        ([2, 1], False, False),
        ([5, 2], False, True),
        ([], False, False),
    ],
)
def test_poison_is_two_failures_on_two_devices_or_three_on_the_only_one(
    by_device: list[int], others: bool, poison: bool
) -> None:
    assert is_poison(by_device, others=others) is poison


def test_rests_double_and_end() -> None:
    assert [rest_of_task(failures, 10.0) for failures in range(5)] == [0, 10, 20, 40, 80]
    assert rest_of_task(60, 10.0) == 900
    assert [rest_of_device(leases, 10.0) for leases in range(5)] == [0, 0, 10, 20, 40]
    assert rest_of_task(3, 0.0) == rest_of_device(3, 0.0) == 0
