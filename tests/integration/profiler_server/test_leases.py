from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from netspec.wire import Lease, LeaseRequest, TaskOutcome, VisitBatch
from profiler_server.events.rows import EventKind, EventRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from profiler_server.leases import service
from profiler_server.leases.rows import LeaseRow, LeaseState
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.aging import age
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api


def test_a_device_keeps_its_id_and_hears_the_intervals(api: Api) -> None:
    first = api.register(farm.registration())
    again = api.register(farm.registration())
    assert first == again
    assert (first.lease_ttl_s, first.renew_every_s) == (60.0, 8.0)
    assert first.target_ids == (farm.identity().id,)
    assert api.register(farm.registration("S2")).id != first.id


def test_fences_grow_and_old_ones_are_refused(api: Api) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1)))
    old = api.claim(device)
    api.release(old)
    new = api.claim(device)
    assert new.fence > old.fence
    for wrong in ({"fence": old.fence}, {"fence": new.fence + 1}):
        path = f"/v1/leases/{new.id}:renew"
        api.problem("POST", path, wrong, status=409, kind="lease-lost")
    api.call("POST", f"/v1/leases/{new.id}:renew", {"fence": new.fence})
    api.problem(
        "POST", f"/v1/leases/{old.id}:renew", {"fence": old.fence}, status=409, kind="lease-lost"
    )


def test_one_live_lease_a_device(api: Api, database: Database) -> None:
    device = api.register(farm.registration()).id
    other = api.register(farm.registration("S2")).id
    api.file(farm.job(farm.blocks(4)))
    lease = api.claim(device, max_tasks=2)
    rest = api.claim(other)
    taken = {task.task_id for task in (*lease.tasks, *rest.tasks)}
    assert (len(lease.tasks), len(rest.tasks), len(taken)) == (2, 2, 4)
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(update(LeaseRow).values(device_id=device))


def test_a_claim_ends_the_lease_that_its_agent_has_lost(api: Api, database: Database) -> None:
    """Its answer was lost, its release was, or the agent crashed: nothing waits for the expiry."""
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(4)))
    lost = api.claim(device, max_tasks=3)
    api.upload(farm.visits(lost.model_copy(update={"tasks": lost.tasks[:1]}), device, rounds=2))
    new = api.claim(device)
    assert new.fence > lost.fence
    assert [task.task_id for task in new.tasks[:2]] == [task.task_id for task in lost.tasks[1:]]
    assert len(new.tasks) == 3
    ended: dict[str, dict[str, object]] = {
        "renew": {"fence": lost.fence},
        "release": {"fence": lost.fence, "outcomes": []},
    }
    for act, body in ended.items():
        api.problem("POST", f"/v1/leases/{lost.id}:{act}", body, status=409, kind="lease-lost")
    with database.read() as session:
        states = dict(session.execute(select(LeaseRow.id, LeaseRow.state)).all())
        kinds = list(session.scalars(select(EventRow.kind).order_by(EventRow.id)))
    assert states == {lost.id: LeaseState.SUPERSEDED, new.id: LeaseState.LIVE}
    assert kinds[-2:] == [EventKind.LEASE_SUPERSEDED, EventKind.LEASE_CLAIMED]
    assert set(api.upload(farm.visits(lost, device, rounds=2))) == {"stored"}
    api.upload(farm.visits(new, device, rounds=2))
    assert (api.job(job.id).state, api.job(job.id).tasks_failed) == ("done", 0)


def test_a_claim_that_waited_leaves_a_later_lease_alone(
    api: Api, database: Database, settings: Settings
) -> None:
    """Its agent has hung up and asked again; the late answer must not end what came after."""
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(2)))
    lease = api.claim(device, max_tasks=1)
    with database.write() as session:
        ask = LeaseRequest(device_id=device)
        assert service.claim(session, settings, ask, waited=True) is None
    api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence})


def test_a_lease_holds_tasks_of_one_target(api: Api) -> None:
    two = farm.registration().model_copy(
        update={"targets": (farm.identity(), farm.identity("Pixel 9"))}
    )
    device = api.register(two).id
    api.file(farm.job(farm.blocks(2)))
    api.file(farm.job(farm.blocks(3), target_id=farm.identity("Pixel 9").id))
    first = api.claim(device)
    api.upload(farm.visits(first, device, rounds=2))
    api.release(first)
    second = api.claim(device)
    assert (first.target_id, len(first.tasks)) == (farm.identity().id, 2)
    assert (second.target_id, len(second.tasks)) == (farm.identity("Pixel 9").id, 3)


def test_a_device_gets_no_tasks_of_foreign_targets(api: Api) -> None:
    api.register(farm.registration())
    foreign = api.register(farm.registration("S9", "Pixel 9")).id
    api.file(farm.job(farm.blocks(1)))
    api.no_work(foreign)


def test_an_expired_lease_gives_its_tasks_back_and_late_visits_count(
    api: Api, database: Database, settings: Settings
) -> None:
    device = api.register(farm.registration()).id
    other = api.register(farm.registration("S2")).id
    job = api.file(farm.job(farm.blocks(2)))
    lost = api.claim(device)
    api.no_work(other)
    age(database, lost, settings.lease_ttl_s)
    taken = api.claim(other)
    assert {task.task_id for task in taken.tasks} == {task.task_id for task in lost.tasks}
    api.problem(
        "POST", f"/v1/leases/{lost.id}:renew", {"fence": lost.fence}, status=409, kind="lease-lost"
    )
    released = {"fence": lost.fence, "outcomes": []}
    api.problem("POST", f"/v1/leases/{lost.id}:release", released, status=409, kind="lease-lost")
    late = farm.visits(lost, device, rounds=2)
    assert set(api.upload(late)) == {"stored"}
    assert api.job(job.id).state == "done"
    assert [entry.visits for entry in api.entries(job.id)] == [2, 2]


def test_renewing_keeps_a_lease(api: Api, database: Database, settings: Settings) -> None:
    device = api.register(farm.registration()).id
    other = api.register(farm.registration("S2")).id
    api.file(farm.job(farm.blocks(1)))
    lease = api.claim(device)
    for _ in range(3):
        age(database, lease, 0.8 * settings.lease_ttl_s)
        api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence})
        api.no_work(other)


def test_three_failures_give_a_task_up(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2)))
    for attempt in range(3):
        lease = api.claim(device)
        bad, good = lease.tasks if attempt == 0 else (*lease.tasks, None)
        assert bad is not None
        outcomes = [TaskOutcome(task_id=bad.task_id, state="failed", reason=f"crash {attempt}")]
        if good is not None:
            api.upload(farm.visits(lease.model_copy(update={"tasks": (good,)}), device, rounds=2))
            outcomes.append(TaskOutcome(task_id=good.task_id, state="done"))
        api.release(lease, outcomes)
    api.no_work(device)
    failed = api.job(job.id)
    assert (failed.state, failed.tasks_done, failed.tasks_failed) == ("failed", 1, 1)
    (failure,) = failed.failures
    assert (failure.subject, failure.reason) == (farm.blocks(1)[0].key, "crash 2")


def test_a_broken_device_fails_no_job_of_its_sound_twin(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    broken = api.register(farm.registration()).id
    sound = api.register(farm.registration("S2")).id
    job = api.file(farm.job(farm.blocks(3)))

    def fail(device: str) -> None:
        lease = api.claim(device)
        api.release(
            lease,
            [
                TaskOutcome(task_id=task.task_id, state="failed", reason="crash")
                for task in lease.tasks
            ],
        )

    # The sound one fails once, as everything may.
    fail(broken)
    fail(sound)
    fail(broken)
    api.no_work(broken)
    assert api.job(job.id).tasks_failed == 0
    lease = api.claim(sound)
    assert len(lease.tasks) == 3
    api.upload(farm.visits(lease, sound, rounds=2))
    assert (api.job(job.id).state, api.job(job.id).tasks_failed) == ("done", 0)


def test_who_measures_until_nothing_is_left_waits_for_what_others_hold(api: Api) -> None:
    busy = api.register(farm.registration()).id
    idle = api.register(farm.registration("S2")).id
    api.file(farm.job(farm.blocks(1)))
    lease = api.claim(busy)
    answer = api.call("POST", "/v1/leases", {"device_id": idle}, status=204)
    assert 1 <= int(answer.headers["Retry-After"]) <= lease.ttl_s
    api.upload(farm.visits(lease, busy, rounds=2))
    api.release(lease)
    answer = api.call("POST", "/v1/leases", {"device_id": idle}, status=204)
    assert "Retry-After" not in answer.headers


def test_unfinished_and_done_without_visits_return_to_the_queue_uncounted(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1)))
    for state in ("unfinished", "done", "unfinished", "done"):
        lease = api.claim(device)
        (task,) = lease.tasks
        outcome = TaskOutcome.model_validate({"task_id": task.task_id, "state": state})
        api.release(lease, [outcome])
    assert api.job(job.id).state == "running"
    assert api.claim(device).tasks[0].visits == 2


def test_a_release_may_be_repeated_and_foreign_outcomes_are_ignored(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2)))
    first = api.claim(device, max_tasks=1)
    api.release(first)
    api.release(first)
    second = api.claim(device, max_tasks=1)
    other = api.register(farm.registration("S2")).id
    third = api.claim(other)
    foreign = TaskOutcome(task_id=third.tasks[0].task_id, state="failed", reason="not mine")
    for _ in range(3):
        api.release(second, [foreign])
        second = api.claim(device, max_tasks=1)
    assert api.job(job.id).tasks_failed == 0


def test_unknown_devices_and_leases_are_problems(api: Api) -> None:
    nobody = {"device_id": "nobody"}
    api.problem("POST", "/v1/leases", nobody, status=404, kind="unknown-device")
    api.problem("POST", "/v1/leases/x:renew", {"fence": 1}, status=404, kind="unknown-lease")
    released = {"fence": 1, "outcomes": []}
    api.problem("POST", "/v1/leases/x:release", released, status=404, kind="unknown-lease")


def test_a_waiting_claim_gets_work_as_soon_as_it_is_filed(api: Api) -> None:
    device = api.register(farm.registration()).id
    filer = threading.Timer(0.3, lambda: api.file(farm.job(farm.blocks(1))))
    start = time.monotonic()
    filer.start()
    lease = api.claim(device, wait_s=20.0)
    filer.join()
    assert len(lease.tasks) == 1
    assert 0.3 <= time.monotonic() - start < 10.0


def test_a_waiting_claim_gives_up_in_time(api: Api) -> None:
    device = api.register(farm.registration()).id
    start = time.monotonic()
    api.no_work(device, wait_s=0.5)
    assert 0.5 <= time.monotonic() - start < 5.0


def test_threads_with_several_devices_never_share_a_task(
    api: Api, database: Database, settings: Settings
) -> None:
    """8 threads, 4 devices: two threads compete for each device as well."""
    devices = [api.register(farm.registration(f"S{number}")).id for number in range(4)]
    api.file(farm.job(farm.blocks(120), rounds=1))
    everyone = threading.Barrier(8)

    def work(device_id: str) -> list[str]:
        taken: list[str] = []
        everyone.wait()
        idle = 0
        while idle < 20:
            with database.write() as session:
                ask = LeaseRequest(device_id=device_id, max_tasks=3)
                # As one that waited: two agents compete here, neither ends the other's lease.
                lease = service.claim(session, settings, ask, waited=True)
            if lease is None:
                idle += 1
                time.sleep(0.005)
                continue
            idle = 0
            taken += [task.task_id for task in lease.tasks]
            finish(lease, device_id)
        return taken

    def finish(lease: Lease, device_id: str) -> None:
        batch: VisitBatch = farm.visits(lease, device_id, rounds=1)
        assert set(api.upload(batch)) == {"stored"}
        api.release(lease)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, devices * 2))
    taken = [task_id for result in results for task_id in result]
    assert len(taken) == len(set(taken)) == 120
    assert sum(bool(result) for result in results) > 1
