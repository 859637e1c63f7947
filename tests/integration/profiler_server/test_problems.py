"""Every error is a problem, whichever layer it comes from."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import threading
import time
from pathlib import Path

import httpx2
import markupsafe
import pytest

from netspec.console.tokens import load_token
from profiler_server.kit.problems import KINDS
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api

JSON = {"Content-Type": "application/json"}
LOOKUP = "/v1/latencies:lookup"
pytestmark = pytest.mark.one_database


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", ""])
def test_a_body_that_is_not_json_is_refused(api: Api, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    detail = api.problem(
        "POST", "/v1/jobs", b"{}", status=415, kind="unsupported-media-type", headers=headers
    )
    assert "application/json" in detail
    api.problem("POST", "/v1/jobs", b"", status=422, kind="invalid-request", headers=headers)


def test_a_body_that_is_broken_or_packed_says_so(api: Api) -> None:
    detail = api.problem(
        "POST", "/v1/jobs", b'{"name": ,}', status=422, kind="invalid-request", headers=JSON
    )
    assert detail == "body: no JSON in UTF-8: expected value at line 1 column 10"
    detail = api.problem(
        "POST",
        "/v1/jobs",
        gzip.compress(b"{}"),
        status=415,
        kind="unsupported-media-type",
        headers={**JSON, "Content-Encoding": "gzip"},
    )
    assert "a Content-Encoding" in detail
    detail = api.problem("POST", "/v1/jobs", {"name": "x"}, status=422, kind="invalid-request")
    assert detail == "body: name either `target_id` or `select`"
    body = {"name": "x", "target_id": "0" * 16, "round": 3, "networks": [{"nam": "y"}]}
    detail = api.problem("POST", "/v1/jobs", body, status=422, kind="invalid-request")
    assert "body.round: there is no such value; did you mean 'rounds'?" in detail
    assert "body.networks.0.nam: there is no such value; did you mean 'name'?" in detail


def errors_of(api: Api, method: str, path: str, body: object = None) -> list[dict[str, str]]:
    content = None if body is None else json.dumps(body).encode()
    answer = api.call(method, path, content, status=422, headers=JSON)
    errors: list[dict[str, str]] = answer.json()["errors"]
    assert all(one["detail"] for one in errors)
    return [{name: text for name, text in one.items() if name != "detail"} for one in errors]


def test_wrong_values_are_named_by_pointer_or_parameter(api: Api) -> None:
    operators = [plain_block(), {**plain_block(), "kernel": "3"}, {**plain_block(), "a/b~ü": 1}]
    body = {"name": 1, "target_id": "0" * 16, "operators": operators}
    assert errors_of(api, "POST", "/v1/jobs", body)[0] == {"pointer": "#/name"}
    # Neither the kind of an operator nor that of a list is part of the way to it.
    found = errors_of(api, "POST", "/v1/jobs", {**body, "name": "x"})
    assert found == [{"pointer": "#/operators/1/kernel"}]
    found = errors_of(api, "POST", "/v1/jobs", {**body, "name": "x", "operators": operators[2:]})
    assert found == [{"pointer": "#/operators/0/a~1b~0%C3%BC"}]
    assert errors_of(api, "POST", "/v1/jobs", {"target_id": "0" * 16}) == [{"pointer": "#/name"}]
    assert errors_of(api, "POST", "/v1/jobs", {"name": "x"}) == [{"pointer": "#"}]
    found = errors_of(api, "POST", "/v1/jobs", {**body, "name": "a\0", "operators": []})
    assert found == [{"pointer": "#/name"}]
    assert errors_of(api, "GET", "/v1/jobs?limit=0&state=x") == [
        {"parameter": "limit"},
        {"parameter": "state"},
    ]
    wrong = {f"field_{number}": 1 for number in range(50)}
    assert len(errors_of(api, "POST", "/v1/jobs", wrong)) == 20
    assert "errors" not in api.call("GET", "/v1/jobs/x", status=404).json()


def plain_block() -> dict[str, object]:
    block: dict[str, object] = farm.blocks(1)[0].model_dump(mode="json")
    return block


def test_every_type_leads_to_a_page_without_a_token(api: Api) -> None:
    problem = api.call("GET", "/v1/jobs/x", status=404).json()
    page = api.http.get(problem["type"])
    assert page.status_code == 200
    assert "GET /v1/jobs" in page.text
    for kind, (status, title) in KINDS.items():
        page = api.http.get(f"/problems/{kind}")
        assert page.status_code == 200
        assert page.headers["Content-Type"].startswith("text/html")
        assert page.headers["Content-Security-Policy"] == "default-src 'none'"
        assert f"status {status}" in page.text
        assert markupsafe.escape(title) in page.text
        assert f'href="problems/{kind}"' in api.http.get("/problems").text
    assert api.http.get("/problems/%3Cscript%3E").status_code == 404


def test_a_list_with_something_wrong_in_it_is_not_called_too_short(api: Api) -> None:
    body: dict[str, object] = {"target_id": "0" * 16, "operators": ["key"]}
    detail = api.problem("POST", LOOKUP, body, status=422, kind="invalid-request")
    assert detail.startswith("body.operators.0: ")
    assert "at least 1" not in detail
    body["operators"] = []
    detail = api.problem("POST", LOOKUP, body, status=422, kind="invalid-request")
    assert "name between 1 and 5000 in `operators` and `keys` together, got 0" in detail


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/jobs", "GET, POST"),
        ("PATCH", "/v1/latencies:lookup", "POST"),
        ("POST", "/v1/models/abc", "DELETE, GET, PUT"),
        ("DELETE", "/v1/jobs/abc:cancel", "POST"),
        ("GET", "/v1/jobs/abc:cancel", "POST"),
        ("GET", "/v1/leases/abc:renew", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    api: Api, method: str, path: str, allowed: str
) -> None:
    detail = api.problem(method, path, status=405, kind="method-not-allowed")
    assert f"expected {allowed}" in detail
    assert api.call(method, path, status=405).headers["Allow"] == allowed


def test_unknown_query_parameters_are_refused_by_name_everywhere(api: Api) -> None:
    paths = api.call("GET", "/openapi.json").json()["paths"]
    asked = [
        (method.upper(), path.replace("{", "").replace("}", ""), operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.startswith("/v1")
    ]
    assert len(asked) > 30
    for method, path, operation in asked:
        detail = api.problem(
            method, f"{path}?nonsense=1", status=422, kind="invalid-request", body={}
        )
        assert detail.startswith("query: no parameter 'nonsense'; "), (method, path)
        known = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        assert detail.endswith(", ".join(known) if known else "takes none"), (method, path)


def test_what_is_answered_before_the_endpoint_is_asked_refuses_them_too(api: Api) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    path = f"/v1/targets/{target_id}/snapshots/latest"
    device = api.call("GET", "/v1/devices").json()[0]["id"]
    api.file(farm.job(farm.blocks(1), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    api.call("POST", f"/v1/targets/{target_id}/snapshots", {}, status=201)
    tag = api.call("GET", path).headers["ETag"]
    headers = {"If-None-Match": tag}
    api.call("GET", f"{path}?format=json", status=304, headers=headers)
    detail = api.problem(
        "GET", f"{path}?fromat=csv", status=422, kind="invalid-request", headers=headers
    )
    assert detail == "query: no parameter 'fromat'; there are: format"


def test_a_token_may_make_so_many_requests(make_api: MakeApi, api: Api) -> None:
    limited = make_api(rate_limit_per_s=0.1, rate_limit_burst=3)
    for left in (2, 1, 0):
        answer = limited.call("GET", "/v1/jobs")
        assert answer.headers["RateLimit-Policy"] == '"token";q=3;w=30'
        assert answer.headers["RateLimit"].startswith(f'"token";r={left};t=')
    refused = limited.call("GET", "/v1/jobs", status=429)
    assert refused.json()["type"] == "/problems/rate-limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert refused.headers["RateLimit"].startswith('"token";r=0;t=')
    # Another token, and what needs none, are not concerned.
    Api(limited.http, api.headers["Authorization"].removeprefix("Bearer ")).call("GET", "/v1/jobs")
    limited.call("GET", "/healthz")


def test_a_request_has_an_id(api: Api) -> None:
    first, second = (api.call("GET", "/nowhere", status=404) for _ in range(2))
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    given = api.call("GET", "/healthz", headers={"X-Request-Id": "my-1.a_B"})
    assert given.headers["X-Request-Id"] == "my-1.a_B"
    for strange in ("a b", "x" * 65):
        answer = api.call("GET", "/healthz", headers={"X-Request-Id": strange})
        assert answer.headers["X-Request-Id"] != strange


def test_a_failed_request_has_an_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("profiler_server.devices.service.list_targets", fail)
    assert api.call("GET", "/v1/targets", status=500).headers["X-Request-Id"]


def test_what_is_no_http_is_a_problem_and_lines_of_the_log_are_json(tmp_path: Path) -> None:
    with Server(tmp_path / "data", options=("--log-level", "info")) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            head, _, body = _all_of(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert json.loads(body)["type"] == "/problems/bad-request"
        httpx2.get(f"{server.url}/nowhere", headers={"X-Request-Id": "mine"})
        _, errors = server.stop(signal.SIGTERM)
    # Before the log begins, a busy machine may take long to migrate, and says so.
    told = [one for one in errors.splitlines() if not one.startswith("migrate the database:")]
    lines = [json.loads(line) for line in told]
    (line,) = [one for one in lines if one["event"] == "request"]
    assert line["request_id"] == "mine"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/nowhere", 404)
    assert line["ms"] >= 0


def _all_of(connection: socket.socket) -> bytes:
    content = b""
    while more := connection.recv(65_536):
        content += more
    return content


def test_a_server_that_is_told_to_stop_drains(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with (
        Server(folder, variables={"PROFILER_DRAIN_S": "3"}) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
    ):
        api = Api(client, load_token(server.url))
        api.call("GET", "/readyz")
        device = api.register(farm.registration()).id
        waited: list[float] = []

        def wait_for_work() -> None:
            start = time.monotonic()
            api.no_work(device, wait_s=30.0)
            waited.append(time.monotonic() - start)

        waiting = threading.Thread(target=wait_for_work)
        waiting.start()
        time.sleep(0.5)
        stopped: list[tuple[int, str]] = []
        stopping = threading.Thread(target=lambda: stopped.append(server.stop(signal.SIGTERM)))
        stopping.start()
        waiting.join(timeout=2.5)
        assert waited, "who waits for work is sent home at once"
        assert "told to stop" in api.problem("GET", "/readyz", status=503, kind="not-ready")
        # It still answers, until the proxy has noticed.
        api.call("GET", "/v1/jobs")
        stopping.join(timeout=10)
    assert stopped == [(0, "")]
