"""What windows of a counter come to: any law of a line is solved, all else is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from netspec.wire import (
    EnergyEstimate,
    EnergyMeter,
    EnergyRound,
    EnergyUnclear,
    EnergyWindow,
    JobRequest,
)

#: seconds of a window: nothing runs, hardly anything does, a long launch
LENGTHS_S = (2.0, 0.2, 2.5)
RUNS = (0, 3, 500)


def rounds(
    count: int = 8,
    *,
    inference_mj: float = 2.0,
    load_mj: float = 50.0,
    idle_mw: float = 300.0,
    drift: float = 0.0,
    open_s: float = 0.0,
) -> tuple[tuple[EnergyRound, ...], EnergyWindow]:
    """Rounds of a device whose idling changes by `drift` mW a second."""
    windows, at_s = [], 0.0
    for number in range(3 * count + 1):
        seconds, runs = LENGTHS_S[number % 3], RUNS[number % 3]
        idle_mj = (idle_mw + drift * (at_s + seconds / 2)) * seconds
        launched_mj = load_mj + runs * inference_mj if runs else 0.0
        windows.append(
            EnergyWindow(runs=runs, seconds=seconds, energy_mj=idle_mj + launched_mj, open_s=open_s)
        )
        at_s += seconds
    made = tuple(
        EnergyRound(idle=windows[at], brief=windows[at + 1], long=windows[at + 2])
        for at in range(0, 3 * count, 3)
    )
    return made, windows[-1]


@given(
    inference_mj=st.floats(0.5, 50.0),
    load_mj=st.floats(0.0, 500.0),
    idle_mw=st.floats(100.0, 1000.0),
    drift=st.floats(0.0, 0.8),
)
def test_idling_that_drifts_in_a_line_and_loading_do_not_count(
    inference_mj: float, load_mj: float, idle_mw: float, drift: float
) -> None:
    found = EnergyEstimate.of(
        *rounds(inference_mj=inference_mj, load_mj=load_mj, idle_mw=idle_mw, drift=drift)
    )
    assert found.value_mj == pytest.approx(inference_mj, rel=1e-6)
    assert found.low_mj <= found.value_mj <= found.high_mj
    assert (found.rounds, found.runs) == (8, 8 * 500)


@pytest.mark.parametrize(("count", "left"), [(6, 0), (8, 0), (9, 1), (10, 1), (20, 5), (50, 17)])
def test_the_interval_is_of_the_median_whatever_the_law(count: int, left: int) -> None:
    outside = 2 * sum(math.comb(count, below) for below in range(left + 1)) / 2**count
    nearer = 2 * sum(math.comb(count, below) for below in range(left + 2)) / 2**count
    assert outside <= 0.05 < nearer
    made, last = rounds(count)
    apart = [
        one.model_copy(
            update={"long": one.long.model_copy(update={"energy_mj": one.long.energy_mj + at})}  # type: ignore[operator]
        )
        for at, one in enumerate(made)
    ]
    found = EnergyEstimate.of(apart, last)
    assert found.low_mj == pytest.approx(2.0 + left / 497)
    assert found.high_mj == pytest.approx(2.0 + (count - 1 - left) / 497)


def test_rounds_in_which_a_counter_was_set_back_do_not_count() -> None:
    made, last = rounds(8)
    broken = made[3].model_copy(
        update={"long": made[3].long.model_copy(update={"energy_mj": None})}
    )
    found = EnergyEstimate.of((*made[:3], broken, *made[4:]), last)
    assert found.rounds == 7
    assert found.value_mj == pytest.approx(2.0)
    few = (broken, *made[1:])
    lost = [one.model_copy(update={"idle": broken.long}) for one in few]
    with pytest.raises(EnergyUnclear, match="should have none"):
        EnergyEstimate.of(lost, last)
    with pytest.raises(EnergyUnclear, match=r"only 5 of 6 .* the counter was set back"):
        EnergyEstimate.of((broken, *made[4:], made[0]), last)


def test_an_idle_power_that_jumps_is_refused() -> None:
    made, last = rounds(6)
    jumping = [
        one.model_copy(
            update={
                "idle": one.idle.model_copy(
                    update={"energy_mj": (one.idle.energy_mj or 0) * (1 + at % 2)}
                )
            }
        )
        for at, one in enumerate(made)
    ]
    with pytest.raises(EnergyUnclear, match="0 of 6 rounds"):
        EnergyEstimate.of(jumping, last)


def test_a_coarse_counter_and_short_windows_are_refused() -> None:
    with pytest.raises(EnergyUnclear, match="too coarse"):
        EnergyEstimate.of(*rounds(open_s=0.2))
    made, last = rounds()
    brief = [
        one.model_copy(update={"long": one.long.model_copy(update={"runs": 150})}) for one in made
    ]
    with pytest.raises(EnergyUnclear, match="150 runs"):
        EnergyEstimate.of(brief, last)


def test_a_meter_names_its_rails_once_in_order() -> None:
    assert EnergyMeter(method="odpm", rails=("A", "B")).name == "odpm A+B"
    for rails in (("B", "A"), ("A", "A"), ()):
        with pytest.raises(ValidationError):
            EnergyMeter(method="odpm", rails=rails)


def test_a_job_of_energy_measures_each_once() -> None:
    asked = {"name": "e", "target_id": "0" * 16, "rounds": 1, "energy": {}}
    assert JobRequest.model_validate(asked).energy is not None
    for more in ({"rounds": 10}, {"method": "in_network"}, {"budget": 3}):
        with pytest.raises(ValidationError, match="`energy`"):
            JobRequest.model_validate(asked | more)


def test_runs_that_take_hardly_more_than_nothing_take_nothing() -> None:
    with pytest.raises(EnergyUnclear, match="no more than nothing takes"):
        EnergyEstimate.of(*rounds(inference_mj=0.02))
