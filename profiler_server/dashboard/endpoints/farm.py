"""The farm: its agents and devices, as they are now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Anyone, Cursor
from profiler_server.dashboard.live.pages import Parts
from profiler_server.dashboard.live.streams import LivePagesDep, follow
from profiler_server.dashboard.views import farm
from profiler_server.dashboard.views.farm import FarmView
from profiler_server.dashboard.views.farm_repository import DeviceState
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.sql.pages import PageRequest

router = APIRouter()


@dataclass(frozen=True)
class _Asked:
    """What of the farm somebody looks at."""

    agent: Annotated[str, Query()] = ""
    state: Annotated[str, Query()] = ""
    cursor: Cursor = None

    @property
    def wanted(self) -> DeviceState | None:
        """The state that devices are to be in."""
        return DeviceState(self.state) if self.state in list(DeviceState) else None

    def shown(self, session: Session) -> dict[str, Any]:
        """What the page's templates show."""
        page = PageRequest(cursor=self.cursor)
        read = farm.read(session, page, agent=self.agent or None, state=self.wanted)
        return {
            "farm": read,
            "agent": self.agent,
            "wanted": self.wanted,
            "states": tuple(DeviceState),
            "query": rendering.kept(agent=self.agent, state=self.wanted),
        }


Asked = Annotated[_Asked, Depends()]


@router.get("/")
def show_farm(request: Request, database: DatabaseDep, _: Anyone, asked: Asked) -> Response:
    """Agents and devices, those of one agent or in one state if a form asks for that."""
    with database.read() as session:
        shown = asked.shown(session)
    live = rendering.kept(agent=asked.agent, state=asked.wanted, cursor=asked.cursor)
    return rendering.page(request, "farm.html.j2", live=live, **shown)


@router.get("/live", response_class=EventSourceResponse)
async def follow_farm(
    request: Request, pages: LivePagesDep, viewer: Anyone, asked: Asked
) -> AsyncIterator[ServerSentEvent]:
    """Changed parts of the page."""

    def read(session: Session) -> Parts:
        return _parts(request, asked.shown(session))

    # What a page shows depends on what its viewer may see, not on who that is.
    key = ("farm", asked, rendering.base_of(request), viewer.may_read_tables)
    async for event in follow(request, pages, key, read):
        yield event


def _parts(request: Request, shown: dict[str, Any]) -> Parts:
    elements = {
        f"farm-{name}": rendering.render(request, f"farm_{name}.html.j2", **shown)
        for name in ("figures", "waiting", "agents", "moment")
    }
    farm_now: FarmView = shown["farm"]
    row = rendering.macro(request, "farm_rows.html.j2", "device_row")
    rows = {f"device-{one.id}": row(one, farm_now.now) for one in farm_now.devices.items}
    return Parts(elements, rows)
