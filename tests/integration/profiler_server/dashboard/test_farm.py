from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, event, update

from netspec.wire import Conditions, VisitBatch
from profiler_server.auth.scopes import Scope
from profiler_server.dashboard.views import farm as farm_page
from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.kit.sql.pages import PageRequest
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Page, Visitor
from tests.integration.profiler_server.service import Api

SCRIPT = "<script>alert('x')</script>"


def row_of(page: Page, start: str) -> str:
    (row,) = [row for row in page.rows if row.startswith(start)]
    return row


def test_an_empty_farm_says_what_to_do(admin: Visitor) -> None:
    assert "Start device-agent run" in admin.get("/").text


def test_any_token_may_look(api: Api, sign_in: Any) -> None:
    api.register(farm.registration("S1"))
    for scope in (Scope.TABLES_READ, Scope.JOBS_WRITE, Scope.AGENT):
        assert "S1" in sign_in(scope).get("/").text


def test_devices_are_shown_with_what_they_do(api: Api, admin: Visitor, database: Database) -> None:
    ids = {
        serial: api.register(farm.registration(serial)).id
        for serial in ("busy", "free", "bad", "gone", "tired")
    }
    api.call("POST", f"/v1/devices/{ids['bad']}:quarantine", {"reason": "a swollen battery"})
    job = api.file(farm.job(farm.blocks(3), rounds=2, name="the job"))
    lease = api.claim(ids["busy"])
    visits = farm.visits(lease, ids["busy"], rounds=2).visits
    first, second = lease.tasks[0].task_id, lease.tasks[1].task_id
    api.upload(VisitBatch(visits=tuple(v for v in visits if v.task_id in (first, second))))
    with database.write() as session:
        now = database_now(session)
        for serial, changed in (
            ("gone", {"last_seen": now - timedelta(minutes=11), "heard_until": now}),
            ("tired", {"rests_until": now + timedelta(minutes=1)}),
        ):
            session.execute(update(DeviceRow).where(DeviceRow.serial == serial).values(changed))
    page = admin.get("/")
    assert "measuring the job 2 of 3 tasks" in row_of(page, "busy")
    assert f"/dashboard/jobs/{job.id}" in page.links
    assert "quarantined a swollen battery nothing" in row_of(page, "bad")
    assert "silent heard last 11 min ago nothing no visit yet" in row_of(page, "gone")
    assert "resting until 20" in row_of(page, "tired")
    assert "idle nothing no visit yet" in row_of(page, "free")
    assert "farm-1 5 1 1 now" in row_of(page, "farm-1")
    for state in ("Measuring", "Quarantined", "Silent", "Resting", "Idle"):
        assert f"{state} 1" in page.text
    filtered = admin.get("/?state=resting&agent=farm-1")
    assert [row.split()[0] for row in filtered.rows[1:2]] == ["tired"]
    assert "busy" not in filtered.text
    assert "No device is of this agent" in admin.get("/?agent=other").text


def test_an_ended_lease_is_no_batch(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration("S1")).id
    api.file(farm.job(farm.blocks(2)))
    lease = api.claim(device)
    assert "measuring" in row_of(admin.get("/"), "S1")
    api.upload(farm.visits(lease, device, rounds=2))
    api.release(lease)
    assert "idle nothing" in row_of(admin.get("/"), "S1")


def test_temperature_and_charge_are_those_of_the_last_visit(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration("S1")).id
    api.file(farm.job(farm.blocks(1), rounds=3))
    lease = api.claim(device)
    # Uploaded out of order, as from a spool.
    for round_, after in (
        (1, Conditions(cpu_celsius=41.4, battery_celsius=31.0)),
        (2, Conditions(cpu_celsius=45.6)),
        (0, Conditions(cpu_celsius=30.0)),
    ):
        seen = farm.visit(lease.tasks[0], lease, device, round_=round_).model_copy(
            update={"before": Conditions(battery_percent=80.0 - round_), "after": after}
        )
        api.upload(VisitBatch(visits=(seen,)))
    # The battery's own temperature is not known of the last visit.
    assert "46 °C \N{EN DASH} 78 % 2026-01-02 03:04" in row_of(admin.get("/"), "S1")


def test_names_are_text_and_never_markup(api: Api, admin: Visitor) -> None:
    registration = farm.registration(f"serial {SCRIPT}", f"model {SCRIPT}").model_copy(
        update={"agent": f"agent {SCRIPT}", "labels": {"rack": f"label {SCRIPT}"}}
    )
    device = api.register(registration).id
    api.call("POST", f"/v1/devices/{device}:quarantine", {"reason": f"reason {SCRIPT}"})
    page = admin.get(f"/?agent=agent {SCRIPT}")
    # The one that keeps the page live.
    assert page.tags.count("script") == 1
    for name in ("serial", "model", "label", "agent", "reason"):
        assert f"{name} {SCRIPT}" in page.text
    assert 'value="agent &lt;script&gt;' in page.html


def test_a_large_farm_comes_in_pages_of_a_constant_number_of_queries(
    api: Api, admin: Visitor, database: Database
) -> None:
    for number in range(3):
        api.register(farm.registration(f"T{number:03d}"))
    few, _ = _queries(database)
    with database.write() as session:
        row = session.query(DeviceRow).first()
        assert row is not None
        copied = {c.name: getattr(row, c.name) for c in DeviceRow.__table__.columns}
        session.add_all(
            DeviceRow(**{**copied, "id": f"device_{one}", "serial": f"S{one:03d}"})
            for one in range(997)
        )
    many, read = _queries(database)
    assert many == few
    assert sum(read.counts.values()) == 1_000
    seen, address = 0, "/"
    while address:
        page = admin.get(address)
        assert len(page.html) < 300_000
        seen += sum(row.startswith(("S", "T")) for row in page.rows)
        following = [link for link in page.links if "cursor=" in link]
        address = f"/{following[-1]}" if following else ""
    assert seen == 1_000


def _queries(database: Database) -> tuple[int, farm_page.FarmView]:
    """How many statements the page takes, and what it shows."""
    engine: Engine = database.engine
    made: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        made.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    try:
        with database.read() as session:
            read = farm_page.read(session, PageRequest(), agent=None, state=None)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    return len(made), read
