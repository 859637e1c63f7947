"""The form that files a job, filled in, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

from netspec.wire import Job
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Page
from tests.integration.profiler_server.service import Api


def fields_of(target: str, **changed: Any) -> dict[str, Any]:
    """A filled form that asks for one operator once."""
    operator = farm.blocks(1)[0].model_dump(mode="json")
    return {
        "name": "from the form",
        "target_id": target,
        "labels": "",
        "subject": "document",
        "document": json.dumps({"operators": [operator]}),
        "rounds": "1",
        "priority": "0",
        "method": "isolated",
        "precisions": ["float32"],
        **changed,
    }


def jobs_of(api: Api) -> list[Job]:
    return [Job.model_validate(one) for one in api.call("GET", "/v1/jobs").json()]


def id_in(page: Page) -> str:
    return page.address.rpartition("/")[2]
