from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, event

from netspec.wire import LatencyLookup, LookedUpLatencies, VisitBatch
from profiler_server.kit.metrics import Metrics
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
DOCS = Path(__file__).parents[3] / "docs" / "server.md"


def figures(api: Api) -> dict[str, float]:
    """Every figure by name and labels."""
    answer = Api(api.http, None).call("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_the_queue_and_the_leases_are_the_databases(api: Api, make_api: MakeApi) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(5), rounds=1))
    lease = api.claim(device, max_tasks=2)
    # A replica that has answered nothing says the same.
    found = figures(make_api())
    assert found[f'profiler_queue_tasks{{target="{TARGET}"}}'] == 3
    assert 0 <= found[f'profiler_queue_oldest_seconds{{target="{TARGET}"}}'] < 60
    assert found["profiler_leases_live"] == 1
    assert found['profiler_attempts_total{outcome="released"}'] == 0
    api.upload(farm.visits(lease, device, rounds=1))
    api.release(lease)
    found = figures(make_api())
    assert found['profiler_attempts_total{outcome="released"}'] == 1
    assert found["profiler_lease_expiries_total"] == 0
    assert found["profiler_leases_live"] == 0


def test_a_lease_that_expires_is_counted(make_api: MakeApi) -> None:
    api = make_api(lease_ttl_s=0.01)
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1), rounds=1))
    api.claim(device)
    other = api.register(farm.registration("S2")).id
    api.claim(other)
    assert figures(make_api())["profiler_lease_expiries_total"] == 1


def test_requests_are_counted_by_route(api: Api) -> None:
    for _ in range(2):
        api.call("GET", "/v1/jobs/job_x", status=404)
    api.call("GET", "/nowhere", status=404)
    found = figures(api)
    count = "profiler_request_duration_seconds_count"
    assert found[f'{count}{{method="GET",route="/v1/jobs/{{job_id}}",status="404"}}'] == 2
    assert found[f'{count}{{method="GET",route="none",status="404"}}'] == 1


def test_a_strange_method_is_not_remembered() -> None:
    metrics = Metrics()
    for method in ("AAA", "BBB"):
        metrics.request(method, None, 405, 0.1)
    assert metrics._known_requests == {}
    counted = metrics.registry.get_sample_value(
        "profiler_request_duration_seconds_count",
        {"method": "other", "route": "none", "status": "405"},
    )
    assert counted == 2


def measure(api: Api, count: int) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(count), rounds=1))
    lease = api.claim(device)
    now = datetime.now(UTC)
    batch = farm.visits(lease, device, rounds=1)
    fresh = tuple(visit.model_copy(update={"started_at": now}) for visit in batch.visits)
    api.upload(VisitBatch(visits=fresh))
    api.release(lease)


def test_look_ups_are_counted_also_when_they_are_known(api: Api) -> None:
    measure(api, 2)
    question = LatencyLookup(target_id=TARGET, operators=farm.blocks(3))
    for _ in range(2):
        api.call("POST", "/v1/latencies:lookup", question)
    known = LatencyLookup(target_id=TARGET, operators=farm.blocks(2))
    for _ in range(3):
        api.call("POST", "/v1/latencies:lookup", known)
    found = figures(api)
    assert found['profiler_lookups_total{state="hit"}'] == 10
    assert found['profiler_lookups_total{state="missing"}'] == 2


def test_a_known_look_up_says_the_same_without_the_database(api: Api) -> None:
    measure(api, 4)
    first, second, third, fourth = farm.blocks(4)
    answers = [
        api.call(
            "POST", "/v1/latencies:lookup", LatencyLookup(target_id=TARGET, operators=operators)
        )
        for operators in ((first, second), (third, fourth))
    ]
    from_database = {
        latency.key: latency
        for answer in answers
        for latency in read(LookedUpLatencies, answer).latencies
    }
    engine = api.http.app.state.database.engine  # type: ignore[attr-defined]
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    question = LatencyLookup(target_id=TARGET, operators=(fourth, first, first))
    answer = api.call("POST", "/v1/latencies:lookup", question)
    assert statements == []
    latencies = read(LookedUpLatencies, answer).latencies
    assert [latency.key for latency in latencies] == [fourth.key, first.key, first.key]
    assert all(latency == from_database[latency.key] for latency in latencies)


def test_only_what_is_not_known_is_asked_of_the_database(api: Api) -> None:
    measure(api, 3)
    first, second, third, unmeasured = farm.blocks(4)
    api.call("POST", "/v1/latencies:lookup", LatencyLookup(target_id=TARGET, operators=(first,)))
    engine = api.http.app.state.database.engine  # type: ignore[attr-defined]
    asked: list[object] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_: Connection, __: object, ___: str, parameters: object, *____: object) -> None:
        asked.append(parameters)

    operators = (third, first, unmeasured, second)
    question = LatencyLookup(target_id=TARGET, operators=operators)
    answer = api.call("POST", "/v1/latencies:lookup", question)
    assert first.content_hash not in repr(asked)
    assert third.content_hash in repr(asked)
    found = read(LookedUpLatencies, answer).latencies
    assert [(one.key, one.state) for one in found] == [
        (third.key, "hit"),
        (first.key, "hit"),
        (unmeasured.key, "missing"),
        (second.key, "hit"),
    ]
    counted = figures(api)
    assert counted['profiler_lookups_total{state="hit"}'] == 4
    assert counted['profiler_lookups_total{state="missing"}'] == 1
    broken = question.model_dump_json().replace('"stride":1', '"stride":9', 1).encode()
    headers = {"Content-Type": "application/json"}
    detail = api.problem(
        "POST",
        "/v1/latencies:lookup",
        broken,
        status=422,
        kind="invalid-request",
        headers=headers,
    )
    assert "operators.0" in detail


def test_known_look_ups_still_want_a_token_and_a_bounded_question(api: Api) -> None:
    measure(api, 1)
    question = LatencyLookup(target_id=TARGET, operators=farm.blocks(1))
    api.call("POST", "/v1/latencies:lookup", question)
    Api(api.http, None).problem(
        "POST", "/v1/latencies:lookup", question, status=401, kind="invalid-token"
    )
    item = question.operators[0].model_dump(mode="json")
    many = {"target_id": TARGET, "operators": [item] * 5_001}
    api.problem("POST", "/v1/latencies:lookup", many, status=422, kind="invalid-request")


def test_every_figure_is_documented(api: Api) -> None:
    measure(api, 1)
    api.call(
        "POST", "/v1/latencies:lookup", LatencyLookup(target_id=TARGET, operators=farm.blocks(1))
    )
    text = Api(api.http, None).call("GET", "/metrics").text
    served = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    served = {name for name in served if not name.endswith("_created")}
    documented = set(re.findall(r"^\| `(profiler_[a-z_]+)`", DOCS.read_text("utf-8"), re.MULTILINE))
    assert documented == served
