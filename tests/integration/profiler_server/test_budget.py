"""Jobs that measure only what tells most."""

from __future__ import annotations

from netspec.operators import Operator
from netspec.spaces import Space
from netspec.wire import Lease, OperatorSubject
from profiler_server.latency_model.features import group, work
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api

SPACES = tuple(
    Space(input_size=32, width=0.25, classes=10, precision=precision)
    for precision in ("float32", "int8")
)
SPACE = SPACES[0]


def work_off(api: Api, device: str) -> list[Operator]:
    """Measures all there is; the operators among it."""
    lease: Lease = api.claim(device)
    operators = [
        task.subject.operator for task in lease.tasks if isinstance(task.subject, OperatorSubject)
    ]
    took = {one.key: 0.05 + work(one).macs / 1e5 for one in operators}
    api.upload(farm.visits(lease, device, rounds=1, ms=took))
    api.release(lease)
    return operators


def test_a_budget_goes_to_operators_that_tell_most(api: Api) -> None:
    device = api.register(farm.registration()).id
    first = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=15))
    assert (first.tasks, first.reused) == (15, 0)
    measured = work_off(api, device)
    assert {group(one) for one in measured} == {group(one) for one in SPACE.operators()}
    second = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=5, remeasure=True))
    # What has an entry is part of the job; the budget is for what has none.
    assert second.tasks == 20
    again = work_off(api, device)
    assert set(measured) < set(again)


def test_both_precisions_share_a_budget(api: Api) -> None:
    device = api.register(farm.registration()).id
    network = farm.network([2, 3])
    job = api.file(farm.job(spaces=SPACES, networks=(network,), rounds=1, budget=24))
    assert job.tasks == 25
    measured = work_off(api, device)
    assert [sum(one.precision == name for one in measured) for name in ("float32", "int8")] == [
        12,
        12,
    ]


def test_nothing_is_measured_once_the_table_is_good_enough(api: Api) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(spaces=(SPACE,), rounds=1, budget=30))
    work_off(api, device)
    known = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=30, enough_percent=50))
    assert (known.tasks, known.reused) == (0, 30)
    more = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=20))
    assert (more.tasks, more.reused) == (20, 30)


def test_without_a_budget_everything_is_measured(api: Api) -> None:
    api.register(farm.registration())
    assert api.file(farm.job(spaces=(SPACE,), rounds=1)).tasks == len(SPACE.operators())
