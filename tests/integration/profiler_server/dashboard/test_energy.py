"""Energy on the pages of its job and of an entry."""

from __future__ import annotations

from collections.abc import Callable

from profiler_server.auth.scopes import Scope
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.test_energy import (
    RAILS,
    TARGET,
    filed,
    measured,
    registered,
    visited,
)


def test_job_and_entry_tell_energy_with_its_meter(
    api: Api, admin: Visitor, sign_in: Callable[..., Visitor]
) -> None:
    device, blocks = registered(api), farm.blocks(1)
    visited(api, device, blocks)
    job = filed(api, blocks)
    assert "95 % interval" not in admin.get(f"/jobs/{job.id}").text
    measured(api, device, [1.5])
    page = admin.get(f"/jobs/{job.id}").text
    for told in ("1.50 mJ", "1.50 mJ to 1.50 mJ", RAILS.name):
        assert told in page, told
    assert RAILS.name not in sign_in(Scope.JOBS_WRITE).get(f"/jobs/{job.id}").text
    entry = admin.get(f"/targets/{TARGET}/entries/{blocks[0].content_hash}").text
    for told in ("1.50 mJ an inference", RAILS.name):
        assert told in entry, told
