"""Values that JSON and URLs can hold and a database cannot."""

from __future__ import annotations

import pytest

from netspec.wire import VisitBatch
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api


def test_a_fence_that_is_no_fence(api: Api) -> None:
    for number in (2**63, 2**64, -1):
        path = "/v1/leases/lease_x:renew"
        api.problem("POST", path, {"fence": number}, status=422, kind="invalid-request")
    api.problem("POST", path, {"fence": 2**63 - 1}, status=404, kind="unknown-lease")


@pytest.mark.parametrize("field", ["round", "count"])
def test_a_visit_with_a_number_that_is_too_large(api: Api, field: str) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1), rounds=1))
    lease = api.claim(device)
    body = farm.visits(lease, device, rounds=1).model_dump(mode="json")
    (visit,) = body["visits"]
    (visit if field == "round" else visit["statistics"])[field] = 2**31
    api.problem("POST", "/v1/visits:batch", body, status=422, kind="invalid-request")


def test_a_moment_that_is_none_in_utc(api: Api) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1), rounds=1))
    body = farm.visits(api.claim(device), device, rounds=1).model_dump(mode="json")
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"):
        body["visits"][0]["started_at"] = moment
        detail = api.problem("POST", "/v1/visits:batch", body, status=422, kind="invalid-request")
        assert "body.visits.0.started_at" in detail


def test_a_space_whose_classifier_is_too_large(api: Api) -> None:
    api.register(farm.registration())
    body = farm.job(()).model_dump(mode="json") | {"spaces": [{"classes": 16_385}]}
    detail = api.problem("POST", "/v1/jobs", body, status=422, kind="invalid-request")
    assert "body.spaces.0.classes" in detail


def test_nul_in_text(api: Api) -> None:
    """SQLite would take it, PostgreSQL does not: a problem, not a failure."""
    body = farm.job(farm.blocks(1), name="a\0b").model_dump(mode="json")
    api.register(farm.registration())
    for method, path, content in (
        ("POST", "/v1/jobs", body),
        ("GET", "/v1/jobs/%00", None),
        ("GET", "/v1/snapshots/%00", None),
    ):
        answer = api.http.request(method, path, json=content, headers=api.headers)
        assert answer.status_code in (404, 422), (path, answer.text)


def test_nul_in_a_visit_is_named(api: Api) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(2), rounds=1))
    good, bad = farm.visits(api.claim(device), device, rounds=1).visits
    batch = VisitBatch(visits=(good, bad.model_copy(update={"raw": "vendor\0log"})))
    detail = api.problem("POST", "/v1/visits:batch", batch, status=422, kind="invalid-request")
    assert detail.startswith("body.visits.1.raw: has a NUL character")
    assert api.upload(VisitBatch(visits=(good, bad))) == ["stored", "stored"]


def test_a_body_that_is_no_text(api: Api) -> None:
    answer = api.http.post(
        "/v1/leases",
        content=b"\xff\xfe{",
        headers={**api.headers, "Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-request"
    assert "UTF-8" in answer.json()["detail"]
