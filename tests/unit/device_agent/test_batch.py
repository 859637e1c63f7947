from itertools import chain

from device_agent.batch import Batch
from netspec.wire import TaskOutcome
from tests.unit.device_agent.messages import lease


def test_outcomes_tell_done_failed_and_unfinished() -> None:
    batch = Batch(lease({"a": 2, "b": 1, "c": 3}))
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
        TaskOutcome(task_id="c", state="unfinished", reason="1 of 3 visits were made"),
    )


def test_a_failure_outweighs_the_visits_made_before_it() -> None:
    batch = Batch(lease({"a": 1}))
    (task,) = batch.tasks
    batch.count(task)
    batch.fail(task, "x" * 5_000)
    (outcome,) = batch.outcomes()
    assert outcome.state == "failed"
    assert len(outcome.reason) == 2_000


def test_rounds_hold_each_tasks_visits_in_an_order_of_the_lease() -> None:
    visits = {"a": 2, "b": 1, "c": 3, "d": 3, "e": 3}
    rounds = Batch(lease(visits)).rounds()
    ids = [[task.task_id for task in tasks] for tasks in rounds]
    assert sorted(chain.from_iterable(ids)) == sorted("aabcccdddeee")
    assert Batch(lease(visits)).rounds() == rounds
    assert Batch(lease(visits, "lease-2")).rounds() != rounds
    assert Batch(lease(visits)).visits == 12
