from collections import Counter

import pytest

from device_agent.measuring.task_batch import PlannedVisit, TaskBatch
from netspec.wire import TaskOutcome
from tests.unit.device_agent.messages import lease


def test_outcomes_tell_done_failed_and_unfinished() -> None:
    batch = TaskBatch(lease({"a": 2, "b": 1, "c": 3}))
    a, b, c = batch.tasks
    batch.count(a)
    batch.count(a)
    batch.count(c)
    batch.fail(b, "XNNPACK took\n nothing")
    assert batch.failed(b)
    assert not batch.failed(a)
    assert batch.outcomes() == (
        TaskOutcome(task_id="a", state="done"),
        TaskOutcome(task_id="b", state="failed", reason="XNNPACK took nothing"),
        TaskOutcome(task_id="c", state="unfinished", reason="1 of 3 visits are accepted"),
    )


def test_a_failure_outweighs_the_visits_made_before_it() -> None:
    batch = TaskBatch(lease({"a": 1}))
    (task,) = batch.tasks
    batch.count(task)
    batch.fail(task, "x" * 5_000)
    (outcome,) = batch.outcomes()
    assert outcome.state == "failed"
    assert len(outcome.reason) == 2_000


def all_of(batch: TaskBatch) -> list[PlannedVisit]:
    planned: list[PlannedVisit] = []
    while stretch := batch.stretch(1):
        planned += stretch
        for one in stretch:
            batch.count(one.task)
    return planned


def test_stretches_hold_each_tasks_visits_in_an_order_of_the_lease() -> None:
    visits = {"a": 2, "b": 1, "c": 3, "d": 3, "e": 3}
    planned = all_of(TaskBatch(lease(visits)))
    assert Counter(one.task.task_id for one in planned) == visits
    assert [one.round for one in planned] == sorted(one.round for one in planned)
    assert planned == all_of(TaskBatch(lease(visits)))
    assert planned != all_of(TaskBatch(lease(visits, "another lease")))


def test_a_stretch_is_whole_rounds() -> None:
    batch = TaskBatch(lease({"a": 3, "b": 3}))
    assert [len(batch.stretch(3)), len(batch.stretch(3))] == [4, 2]


@pytest.mark.parametrize("visits", [1, 2, 3, 40])
def test_what_was_rejected_is_visited_again_but_not_for_ever(visits: int) -> None:
    batch = TaskBatch(lease({"a": visits}))
    made = 0
    while stretch := batch.stretch(1):
        for one in stretch:
            batch.count(one.task, "the core was not its own")
            made += 1
    assert made == 4 * visits + 2
    (outcome,) = batch.outcomes()
    assert outcome.state == "failed"
    assert (
        outcome.reason
        == f"0 of {visits} visits are accepted; the last one rejected: the core was not its own"
    )


def test_a_task_whose_visits_are_all_taken_back_is_unfinished() -> None:
    batch = TaskBatch(lease({"a": 2}))
    made = 0
    while stretch := batch.stretch(1):
        for one in stretch:
            batch.count(one.task)
            batch.take_back(one.task, "the anchor was slow")
            made += 1
    assert made == 4 * 2 + 2
    (outcome,) = batch.outcomes()
    assert outcome.state == "unfinished"
    assert (outcome.reason or "").startswith("0 of 2 visits are accepted")


def test_a_visit_that_is_taken_back_is_made_again() -> None:
    batch = TaskBatch(lease({"a": 1}))
    (one,) = batch.stretch(1)
    batch.count(one.task)
    assert batch.stretch(1) == []
    batch.take_back(one.task, "the anchor was slow")
    (again,) = batch.stretch(1)
    assert again.round == one.round + 1
    batch.count(again.task)
    assert [outcome.state for outcome in batch.outcomes()] == ["done"]


def test_failed_and_cancelled_tasks_are_planned_no_more() -> None:
    batch = TaskBatch(lease({"a": 2, "b": 2, "c": 2}))
    batch.fail(batch.tasks[0], "no")
    planned = batch.stretch(10, {"b"})
    assert {one.task.task_id for one in planned} == {"c"}
    assert batch.stretch(10, {"b", "c"}) == []
