from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from netspec.wire import MAX_MODEL_BYTES
from profiler_server.app import create_app
from profiler_server.auth import repository, service
from profiler_server.auth.scopes import Scope
from profiler_server.events.rows import EventKind, EventRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

MakeToken = Callable[..., str]


def with_token(api: Api, token: str | None) -> Api:
    return Api(api.http, token)


def endpoints(api: Api) -> list[tuple[str, str]]:
    """Every documented endpoint with its path filled in."""
    document = api.call("GET", "/openapi.json").json()
    found = []
    for path, methods in document["paths"].items():
        filled = path
        for name in (
            "target_id",
            "job_id",
            "lease_id",
            "snapshot_id",
            "sha256",
            "task_id",
            "piece",
        ):
            filled = filled.replace("{" + name + "}", "0" * 64)
        found += [(method.upper(), filled) for method in methods]
    return found


@pytest.mark.one_database
def test_every_v1_endpoint_wants_a_token(api: Api) -> None:
    anonymous = with_token(api, None)
    checked = 0
    for method, path in endpoints(api):
        if path.startswith("/v1"):
            body = b"" if method == "PUT" else None
            answer = anonymous.call(method, path, body, status=401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["type"] == "/problems/invalid-token"
            checked += 1
    assert checked == 66


def test_wrong_tokens_are_told_apart(api: Api, make_token: MakeToken, database: Database) -> None:
    def refusal(token: str) -> str:
        return with_token(api, token).problem(
            "GET", "/v1/targets", status=401, kind="invalid-token"
        )

    good = make_token(Scope.TABLES_READ)
    assert "mistyped" in refusal("nonsense")
    assert "mistyped" in refusal(good[:-1] + ("a" if good[-1] != "a" else "b"))
    assert "expired" in refusal(make_token(Scope.TABLES_READ, days=0.0))
    revoked = make_token(Scope.TABLES_READ)
    with database.write() as session:
        newest = repository.everything(session)[-1]
        service.revoke(session, newest.id)
    assert "revoked" in refusal(revoked)
    with_token(api, good).call("GET", "/v1/targets")


def test_a_token_of_another_server_is_refused(api: Api, settings: Settings, tmp_path: Path) -> None:
    elsewhere = settings.model_copy(update={"server_key_file": tmp_path / "other.key"})
    with TestClient(create_app(elsewhere)) as client:
        token = api.headers["Authorization"].removeprefix("Bearer ")
        Api(client, token).problem("GET", "/v1/targets", status=401, kind="invalid-token")


def test_a_revoked_token_is_trusted_only_for_moments(
    make_api: MakeApi,
    make_token: MakeToken,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "TRUSTED_S", 0.0)
    api = make_api()
    token = make_token(Scope.TABLES_READ)
    with_token(api, token).call("GET", "/v1/targets")
    with database.write() as session:
        rows = repository.everything(session)
        service.revoke(session, rows[-1].id)
        assert rows[-1].last_used_at is not None
    with_token(api, token).problem("GET", "/v1/targets", status=401, kind="invalid-token")


def test_a_revocation_reaches_every_replica_within_5_seconds(
    api: Api, make_api: MakeApi, make_token: MakeToken, database: Database
) -> None:
    token = make_token(Scope.TABLES_READ)
    replicas = [with_token(api, token), with_token(make_api(), token)]
    for replica in replicas:
        replica.call("GET", "/v1/targets")
    with database.write() as session:
        rows = repository.everything(session)
        (row,) = [one for one in rows if one.scopes == Scope.TABLES_READ]
        service.revoke(session, row.id)
    revoked_at = time.monotonic()
    waiting = set(range(len(replicas)))
    while waiting:
        assert time.monotonic() - revoked_at < 5.5
        answers = {
            one: replicas[one].http.get("/v1/targets", headers=replicas[one].headers)
            for one in waiting
        }
        waiting -= {one for one, answer in answers.items() if answer.status_code == 401}
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        (Scope.TABLES_READ, "GET", "/v1/targets", 200),
        (Scope.TABLES_READ, "GET", "/v1/jobs/x/entries", 404),
        (Scope.TABLES_READ, "POST", "/v1/jobs", 403),
        (Scope.TABLES_READ, "POST", "/v1/leases", 403),
        (Scope.TABLES_READ, "POST", "/v1/latencies:lookup", 422),
        (Scope.TABLES_READ, "POST", "/v1/targets/x:predict", 422),
        (Scope.JOBS_WRITE, "POST", "/v1/jobs", 422),
        (Scope.JOBS_WRITE, "POST", "/v1/latencies:lookup", 403),
        (Scope.JOBS_WRITE, "POST", "/v1/targets/x:predict", 403),
        (Scope.JOBS_WRITE, "GET", "/v1/jobs/x", 404),
        (Scope.JOBS_WRITE, "GET", "/v1/jobs/x/entries", 403),
        (Scope.JOBS_WRITE, "POST", "/v1/visits:batch", 403),
        (Scope.AGENT, "POST", "/v1/visits:batch", 422),
        (Scope.AGENT, "POST", "/v1/jobs", 403),
        (Scope.AGENT, "GET", f"/v1/models/{'0' * 64}", 404),
        (Scope.AGENT, "PUT", f"/v1/models/{'0' * 64}", 403),
        (Scope.AGENT, "GET", f"/v1/images/{'0' * 64}", 404),
        (Scope.AGENT, "PUT", f"/v1/images/{'0' * 64}", 403),
        (Scope.AGENT, "PUT", "/v1/tasks/x/outputs", 422),
        (Scope.JOBS_WRITE, "PUT", "/v1/tasks/x/outputs", 403),
        (Scope.AGENT, "PUT", "/v1/tasks/x/windows", 422),
        (Scope.JOBS_WRITE, "PUT", "/v1/tasks/x/windows", 403),
        (Scope.AGENT, "PUT", "/v1/tasks/x/energy", 422),
        (Scope.JOBS_WRITE, "PUT", "/v1/tasks/x/energy", 403),
        (Scope.JOBS_WRITE, "GET", "/v1/targets/x/energy", 403),
        (Scope.TABLES_READ, "GET", "/v1/targets/x/energy", 404),
        (Scope.JOBS_WRITE, "GET", "/v1/jobs/x/sustained", 403),
        (Scope.TABLES_READ, "GET", "/v1/jobs/x/sustained", 404),
        (Scope.JOBS_WRITE, "GET", "/v1/jobs/x/evaluation", 403),
        (Scope.TABLES_READ, "GET", "/v1/jobs/x/evaluation", 404),
        (Scope.TABLES_READ, "GET", "/v1/jobs/x/outputs/0", 404),
        (Scope.ADMIN, "POST", "/v1/devices", 422),
    ],
)
@pytest.mark.one_database
def test_scopes(
    api: Api, make_token: MakeToken, scope: Scope, method: str, path: str, status: int
) -> None:
    answer = with_token(api, make_token(scope)).call(method, path, status=status)
    if status == 403:
        assert answer.json()["type"] == "/problems/missing-scope"
        assert "--scope" in answer.json()["detail"]


def test_a_stored_token_is_only_a_keyed_hash(
    make_token: MakeToken, database: Database, settings: Settings
) -> None:
    token = make_token(Scope.AGENT)
    with database.read() as session:
        (row,) = repository.everything(session)
    assert token not in json.dumps([row.id, row.name, row.digest, row.scopes])
    assert row.digest != hashlib.sha256(token.encode()).hexdigest()
    assert settings.server_key_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.one_database
def test_every_error_is_a_problem(api: Api) -> None:
    api.problem("GET", "/nowhere", status=404, kind="not-found")
    answer = api.call("DELETE", "/v1/jobs", status=405)
    assert answer.json()["type"] == "/problems/method-not-allowed"
    assert "POST" in answer.headers["Allow"]
    detail = api.problem("POST", "/v1/jobs", {"nonsense": 1}, status=422, kind="invalid-request")
    assert "body.name" in detail
    broken = {"Content-Type": "application/json"}
    api.problem("POST", "/v1/jobs", b"{", status=422, kind="invalid-request", headers=broken)
    bad_network = farm.job(networks=(farm.network([3]),)).model_dump(mode="json")
    bad_network["networks"][0]["operators"].pop(1)
    bad_network["networks"][0]["operators"][0]["out_channels"] = 9
    detail = api.problem("POST", "/v1/jobs", bad_network, status=422, kind="invalid-request")
    assert "channels" in detail


def test_a_failing_server_says_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("profiler_server.devices.service.list_targets", fail)
    detail = api.problem("GET", "/v1/targets", status=500, kind="internal-error")
    assert "ZeroDivision" not in detail


def test_readiness_follows_the_schema(settings: Settings, api: Api, tmp_path: Path) -> None:
    assert api.call("GET", "/healthz").json() == {"status": "ok"}
    assert api.call("GET", "/readyz").json() == {"status": "ok"}
    empty = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'empty.db'}"})
    with TestClient(create_app(empty)) as client:
        unready = Api(client, None)
        unready.call("GET", "/healthz")
        detail = unready.problem("GET", "/readyz", status=503, kind="not-ready")
    assert "profiler-server migrate" in detail


@pytest.mark.one_database
def test_models_are_checked(api: Api) -> None:
    content = b"\x1c\0\0\0TFL3" + bytes(3000)
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"/v1/models/{sha256}"
    api.problem("GET", path, status=404, kind="unknown-model")
    api.problem("PUT", path, content + b"x", status=422, kind="hash-mismatch")
    api.call("PUT", path, content, status=201)
    api.call("PUT", path, content, status=204)
    loaded = api.call("GET", path)
    assert loaded.content == content
    assert loaded.headers["Content-Type"] == "application/octet-stream"
    api.call("GET", path, headers={"If-None-Match": loaded.headers["ETag"]}, status=304)
    other = b"no model at all"
    path = f"/v1/models/{hashlib.sha256(other).hexdigest()}"
    assert "TFL3" in api.problem("PUT", path, other, status=422, kind="not-a-model")
    api.problem("PUT", "/v1/models/short", other, status=422, kind="invalid-request")


@pytest.mark.one_database
def test_a_model_over_the_limit_is_refused(api: Api) -> None:
    content = bytes(MAX_MODEL_BYTES + 1)
    path = f"/v1/models/{'0' * 64}"
    api.problem("PUT", path, content, status=413, kind="body-too-large")


@pytest.mark.one_database
def test_a_foreign_protocol_is_refused(api: Api) -> None:
    other = farm.identity().model_copy(update={"protocol": "0" * 64})
    wrong = farm.registration().model_copy(update={"targets": (other,)})
    detail = api.problem("POST", "/v1/devices", wrong, status=422, kind="protocol-mismatch")
    assert farm.PROTOCOL.content_hash in detail


def test_what_happens_is_logged(api: Api, database: Database) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    api.release(lease)
    api.call("POST", f"/v1/targets/{lease.target_id}/snapshots", {}, status=201)
    with database.read() as session:
        rows = session.scalars(select(EventRow).order_by(EventRow.id)).all()
    assert [row.kind for row in rows] == [
        EventKind.TOKEN_CREATED,
        EventKind.JOB_CREATED,
        EventKind.LEASE_CLAIMED,
        EventKind.JOB_FINISHED,
        EventKind.LEASE_RELEASED,
        EventKind.SNAPSHOT_PUBLISHED,
    ]
    assert json.loads(rows[1].data) == {"job_id": job.id, "tasks": 1}
    assert json.loads(rows[2].data) == {
        "lease_id": lease.id,
        "device_id": device,
        "target_id": lease.target_id,
        "tasks": 1,
    }
