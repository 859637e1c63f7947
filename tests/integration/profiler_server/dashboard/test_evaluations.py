"""A job that runs test images, on its page."""

from __future__ import annotations

from collections.abc import Callable

from profiler_server.auth.scopes import Scope
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.test_evaluations import filed, outputs, put, right


def test_a_page_tells_accuracy_and_what_it_cost(
    api: Api, admin: Visitor, sign_in: Callable[..., Visitor]
) -> None:
    job, device = filed(api)
    page = admin.get(f"/jobs/{job.id}")
    assert "Accuracy on the device" in page.text
    assert "0 of 5" in page.text
    assert "Top-1" not in page.text
    lease = api.claim(device)
    first, second = lease.tasks
    put(api, first, outputs(lease, right(first), load_ms=2.0, peak_memory_mib=8.0))
    put(api, second, outputs(lease, -right(second), load_ms=4.0, peak_memory_mib=9.5))
    api.release(lease)
    page = admin.get(f"/jobs/{job.id}")
    for told in ("5 of 5", "Top-1 60.00 %", "Loading 3.00 ms", "Peak memory 9.5 MiB", "m.tflite"):
        assert told in page.text, told
    assert "Latency" not in page.text
    # Once the file is measured there, too, the page leads to how long it takes.
    subject = first.subject.model.model_dump()  # type: ignore[union-attr]
    api.file(farm.job(models=[subject], rounds=1))
    measuring = api.claim(device)
    api.upload(farm.visits(measuring, device, rounds=1))
    page = admin.get(f"/jobs/{job.id}")
    assert "Latency 1.00 ms" in page.text
    # What models give is read with the tables' scope.
    writer = sign_in(Scope.JOBS_WRITE)
    assert "Accuracy on the device" not in writer.get(f"/jobs/{job.id}").text


def test_a_job_that_measures_has_no_accuracy(api: Api, admin: Visitor) -> None:
    api.register(farm.registration())
    job = api.file(farm.job(farm.blocks(1)))
    assert "Accuracy on the device" not in admin.get(f"/jobs/{job.id}").text
