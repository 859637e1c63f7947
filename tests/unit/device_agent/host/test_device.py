"""Visits on this machine: one is always begun ahead, and each that began is finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device_agent.errors import ModelRefused, VisitFailed
from device_agent.host.device import LocalDevice
from device_agent.measuring.device import VisitRequest, VisitResult
from device_agent.runners.base import Measured
from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import Conditions
from tests.made_up import identity

MEASURED = Measured(
    VisitStatistics(count=1, min_us=1, p5_us=1, median_us=1, p95_us=1, mean_us=1, std_us=0), "said"
)


@dataclass
class Runner:
    """Notes what is done in which order; the model `bad` fails, `missing` cannot be launched."""

    done: list[str] = field(default_factory=list)
    _begun: deque[Path] = field(default_factory=deque)

    def begin(
        self,
        model: Path,
        protocol: MeasurementProtocol,
        operators: Sequence[Operator] | None = None,
        *,
        allow_partial: bool = False,
    ) -> None:
        assert (protocol, operators, allow_partial) == (MeasurementProtocol(), None, False)
        self.done.append(f"begin {model}")
        if model.name == "missing":
            raise ModelRefused("no file")
        self._begun.append(model)

    def finish(self) -> Measured:
        model = self._begun.popleft()
        self.done.append(f"finish {model}")
        if model.name == "bad":
            raise ModelRefused("no model")
        return MEASURED

    def close(self) -> None:
        raise AssertionError("nobody ended the agent")


@dataclass
class Stretch:
    """A stretch of visits of models with these names; a test says when no more are wanted."""

    names: tuple[str, ...]
    runner: Runner = field(default_factory=Runner)
    go_on: bool = True
    unwanted: set[int] = field(default_factory=set)
    moment: float = 0.0

    def visits(self) -> list[VisitResult]:
        found = []
        for result in self._device().visits(
            [VisitRequest(Path(name)) for name in self.names],
            lambda: self.go_on,
            lambda index: index not in self.unwanted,
        ):
            self.runner.done.append(f"had {self.names[result.index]}")
            found.append(result)
            if result.index == 1:
                self.go_on = False
        return found

    def _device(self) -> LocalDevice:
        return LocalDevice("host", identity(), self.runner, self._conditions, None)

    def _conditions(self) -> Conditions:
        self.moment += 1
        return Conditions(load_1m=self.moment)


def test_the_next_visit_is_begun_before_one_is_waited_for() -> None:
    stretch = Stretch(("a", "b"))
    results = stretch.visits()
    assert stretch.runner.done == [
        *("begin a", "begin b", "finish a", "had a", "finish b", "had b"),
    ]
    # Between two visits the conditions are looked at once.
    assert [(one.before.load_1m, one.after.load_1m) for one in results] == [(1, 2), (2, 3)]
    assert results[0].started_at < results[1].started_at


def test_the_first_no_ends_it_after_what_has_begun() -> None:
    stretch = Stretch(("a", "b", "c", "d"))
    assert [one.index for one in stretch.visits()] == [0, 1, 2]
    assert "begin d" not in stretch.runner.done


def test_what_is_not_wanted_is_passed_over() -> None:
    stretch = Stretch(("a", "b", "c", "d"), unwanted={1, 2})
    assert [one.index for one in stretch.visits()] == [0, 3]


@pytest.mark.parametrize("names", [("bad", "a"), ("missing", "a"), ("missing", "bad")])
def test_a_visit_that_fails_takes_no_other_with_it(names: tuple[str, str]) -> None:
    outcomes = [one.outcome for one in Stretch(names).visits()]
    assert [isinstance(one, VisitFailed) for one in outcomes] == [
        name in {"bad", "missing"} for name in names
    ]


def test_whoever_stops_listening_leaves_no_visit_behind() -> None:
    stretch = Stretch(("a", "b", "c"))
    visits = stretch._device().visits(
        [VisitRequest(Path(name)) for name in stretch.names], lambda: True, lambda _: True
    )
    next(visits)
    visits.close()  # type: ignore[attr-defined]
    assert stretch.runner.done == ["begin a", "begin b", "finish a", "finish b"]
