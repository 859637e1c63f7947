"""Open pages that are kept as things are, by one reading for all who look at the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from profiler_server.auth.scopes import Scope
from profiler_server.dashboard.live import pages as live
from profiler_server.dashboard.live import streams
from profiler_server.dashboard.live.pages import LivePages, Parts
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.kit.work_signal import WorkSignal
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api
from tests.waiting import wait_for


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that end soon, and are read anew often."""
    monkeypatch.setattr(live, "_EVERY_S", 0.02)
    monkeypatch.setattr(streams, "_LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(streams, "_LONGEST_S", 0.3)


def test_only_what_has_changed_is_sent() -> None:
    before = Parts({"a": "1", "b": "1"}, {"x": "1", "y": "1"})
    assert before.since(before) == {}
    after = Parts({"a": "1", "b": "2"}, {"y": "2", "x": "1"})
    assert after.since(before) == {
        "elements": {"b": "2"},
        "rows": {"y": "2"},
        "order": ["y", "x"],
    }
    # The last row has gone.
    assert Parts({}, {}).since(Parts({}, {"x": "1"})) == {"order": []}


def test_many_who_look_at_the_same_cost_one_reading(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    read = 0

    def parts(_: Session) -> Parts:
        nonlocal read
        read += 1
        return Parts({"number": f"{min(read, 3)}"})

    async def look(pages: LivePages, key: str) -> list[Any]:
        changes = []
        async with pages.viewing(key, parts) as viewer:
            for _ in range(3):
                change = await viewer.change(5.0)
                assert change is not None
                changes.append(json.loads(change)["elements"]["number"])
                if changes[-1] == "3":
                    break
        return changes

    async def many() -> list[list[Any]]:
        signal = WorkSignal()
        pages = LivePages(database, signal)
        found = await asyncio.gather(*(look(pages, "same") for _ in range(50)))
        signal.close()
        await pages.close()
        return found

    found = asyncio.run(many())
    assert all(one[-1] == "3" for one in found)
    assert read <= 5


def test_one_viewer_too_many_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_MOST_VIEWERS", 1)

    async def look() -> None:
        signal = WorkSignal()
        pages = LivePages(database, signal)
        pages.require_room()
        async with pages.viewing("one", lambda _: Parts({})):
            with pytest.raises(Problem, match="live pages are open"):
                pages.require_room()
        pages.require_room()
        signal.close()
        await pages.close()

    asyncio.run(look())


@pytest.mark.usefixtures("brief")
def test_the_farm_is_followed_as_it_changes(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration("first")).id
    events = Following(admin, "/live")
    events.wait(lambda seen: f"device-{device}" in seen.rows)
    assert "idle" in events.rows[f"device-{device}"]
    assert "<script" not in json.dumps(events.rows)
    api.call("POST", f"/v1/devices/{device}:quarantine", {"reason": "hot"})
    events.wait(lambda seen: "hot" in seen.rows[f"device-{device}"])
    assert "state=quarantined" in events.elements["farm-figures"]
    other = api.register(farm.registration("second")).id
    events.wait(lambda seen: f"device-{other}" in seen.rows)
    assert events.order == [f"device-{device}", f"device-{other}"]


@pytest.mark.usefixtures("brief")
def test_the_list_of_jobs_and_a_device_are_followed_too(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration()).id
    jobs, page = Following(admin, "/jobs/live"), Following(admin, f"/devices/{device}/live")
    job = api.file(farm.job(farm.blocks(2)))
    jobs.wait(lambda seen: "queued" in seen.rows.get(job.id, ""))
    api.claim(device)
    jobs.wait(lambda seen: "running" in seen.rows[job.id])
    page.wait(lambda seen: "Measures now" in seen.elements.get("device-standing", ""))


@pytest.mark.usefixtures("brief")
def test_streams_are_for_whoever_may_see_the_page(
    api: Api, visitor: Visitor, sign_in: Callable[..., Visitor]
) -> None:
    device = api.register(farm.registration()).id
    for path in ("/live", "/jobs/live", f"/devices/{device}/live"):
        visitor.get(path, status=401)
    reader = sign_in(Scope.JOBS_WRITE)
    events = Following(reader, "/live")
    events.wait(lambda seen: f"device-{device}" in seen.rows)
    # It may not see tables, so nothing leads there.
    assert "/targets/" not in events.rows[f"device-{device}"]


class Following:
    """What a stream tells who begins to follow it, time and again."""

    def __init__(self, visitor: Visitor, path: str) -> None:
        self._visitor = visitor
        self._path = f"/dashboard{path}"
        self.elements: dict[str, str] = {}
        self.rows: dict[str, str] = {}
        self.order: list[str] = []

    def wait(self, until: Callable[[Following], bool]) -> None:
        """Follows it until it has told something."""
        wait_for(lambda: self._follow() and until(self))

    def _follow(self) -> bool:
        answer = self._visitor.http.get(self._path)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.text.splitlines():
            if line.startswith("data: "):
                change = json.loads(line.removeprefix("data: "))
                self.elements |= change.get("elements", {})
                self.rows |= change.get("rows", {})
                self.order = change.get("order", self.order)
        return True
