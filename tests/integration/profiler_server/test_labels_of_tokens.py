"""A token that is limited to labels sees its own part of the farm at every route, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from netspec.wire import (
    DeviceLabels,
    LeaseRequest,
    MadeToken,
    PublishRequest,
    RetractionRequest,
    TransferRequest,
)
from profiler_server import cli
from profiler_server.dashboard.endpoints import ROUTERS, models
from profiler_server.kit.settings import Settings
from profiler_server.reach.named import NAMED
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api, read

#: parameters of paths that are no ids of `NAMED`, and why no token need be kept from them
FREE = {
    "sha256": "whoever knows a file's hash may have it: it says nothing of a device",
    "piece": "of a job, which the path names",
    "subject_hash": "of a target, which the path names",
    "visit_id": "of a target, which the path names",
    "lease_id": "an agent's: the token must have registered its device",
    "task_id": "an agent's: so must the body's lease",
    "token_id": "for administrators, who see everything",
    "webhook_id": "the token's own",
}
#: ids in bodies, below the first level or of other kinds, likewise
FREE_FIELDS = {
    "EnergyUpload.lease_id": "an agent's: the token must have registered its device",
    "JobRequest.transfer.source_target_id": "looked up as a target, which sessions narrow",
    "LeaseRelease.outcomes.task_id": "of the path's lease",
    "PieceOutputs.lease_id": "an agent's: the token must have registered its device",
    "WindowsUpload.lease_id": "an agent's: the token must have registered its device",
    "RetractionRequest.lease_id": "for administrators",
    "RetractionRequest.token_id": "for administrators",
    "VisitBatch.visits.device_id": "the token must have registered it",
    "VisitBatch.visits.lease_id": "of that device",
    "VisitBatch.visits.target_id": "of that lease",
    "VisitBatch.visits.task_id": "of that lease",
}
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Lab:
    """A device with what was measured on it."""

    name: str
    #: by the names of parameters and fields
    ids: dict[str, str]

    def named_in(self, text: str) -> list[str]:
        """What a text says of the lab."""
        return [one for one in (*self.ids.values(), f"of-{self.name}") if one in text]

    def fill(self, path: str) -> str:
        """A route's path with the lab's ids."""
        ids = {**self.ids, "subject_hash": farm.blocks(1)[0].content_hash, "piece": "0"}
        return _PARAMETER.sub(lambda found: ids.get(found[1], "0" * 64), path)


def registration(whose: str, model: str, **labels: str) -> Any:
    made = farm.registration(serial=f"serial-of-{whose}", model=model)
    return made.model_copy(update={"labels": {"floor": "2", **labels}})


def lab(api: Api, name: str, model: str) -> Lab:
    device = api.register(registration(name, model, lab=name)).id
    target_id = farm.identity(model).id
    network = farm.network([2], name=f"net-of-{name}")
    job = api.file(
        farm.job(
            farm.blocks(2), networks=[network], rounds=1, target_id=target_id, name=f"job-of-{name}"
        )
    )
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    api.release(lease)
    again = api.file(farm.job(farm.blocks(1), rounds=1, target_id=target_id, remeasure=True))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    path = f"/v1/targets/{target_id}/snapshots"
    snapshot = api.call("POST", path, PublishRequest(), status=201).json()["id"]
    taken_back = RetractionRequest(lease_id=lease.id, reason=f"a cable of-{name}")
    api.call("POST", "/v1/visits:retract", taken_back)
    assert api.job(again.id).state == "done"
    ids = {"target_id": target_id, "device_id": device, "job_id": job.id, "snapshot_id": snapshot}
    return Lab(name, {**ids, "source_target_id": target_id})


@pytest.fixture
def berlin(api: Api) -> Lab:
    return lab(api, "berlin", "Pixel 1")


@pytest.fixture
def paris(api: Api) -> Lab:
    return lab(api, "paris", "Pixel 2")


def made(api: Api, *scopes: str, **labels: str) -> MadeToken:
    wanted = {"name": "limited", "scopes": list(scopes), "labels": labels}
    return read(MadeToken, api.call("POST", "/v1/tokens", wanted, status=201))


def limited(api: Api, *scopes: str, **labels: str) -> Api:
    return Api(api.http, made(api, *scopes, **labels).token)


@pytest.fixture
def guest(api: Api) -> Api:
    """Of the lab in Berlin, with all scopes that a limited token can have."""
    return limited(api, "tables:read", "jobs:write", "agent", lab="berlin")


def routes(api: Api) -> Iterator[tuple[str, str, str | None]]:
    """Each documented route: method, path, and the name of its body's schema."""
    for path, methods in api.call("GET", "/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            yield method.upper(), path, schema.get("$ref", "").rpartition("/")[2] or None


def ids_of(schemas: dict[str, Any], name: str) -> Iterator[str]:
    """Paths to the fields of a message that hold ids."""

    def walk(schema: Any, path: str) -> Iterator[str]:
        if isinstance(schema, list):
            for one in schema:
                yield from walk(one, path)
        if not isinstance(schema, dict):
            return
        if (reference := schema.get("$ref", "").rpartition("/")[2]) in schemas:
            yield from walk(schemas[reference], path)
        for field, inner in schema.get("properties", {}).items():
            if field.endswith(("_id", "_ids")):
                yield f"{path}.{field}"
            yield from walk(inner, f"{path}.{field}")
        for keyword in ("items", "anyOf", "oneOf", "allOf", "prefixItems", "additionalProperties"):
            yield from walk(schema.get(keyword), path)

    yield from walk(schemas[name], name)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_id_that_a_route_takes_is_looked_at_somewhere(api: Api) -> None:
    schemas = api.call("GET", "/openapi.json").json()["components"]["schemas"]
    of_dashboard = [getattr(one, "path", "") for router in ROUTERS for one in router.routes]
    paths = [*(path for _, path, _ in routes(api)), *of_dashboard]
    parameters = {one for path in paths for one in _PARAMETER.findall(path)}
    assert parameters <= {*NAMED, *FREE}, "a path names what no token is kept from: see `NAMED`"
    assert set(FREE) <= parameters
    fields = {one for *_, body in routes(api) if body for one in ids_of(schemas, body)}
    checked = {one for one in fields if one.count(".") == 1 and one.partition(".")[2] in NAMED}
    assert fields - checked == set(FREE_FIELDS), "a body names what no token is kept from"


def test_what_is_of_another_lab_is_unknown_at_every_route(
    api: Api, berlin: Lab, paris: Lab, guest: Api
) -> None:
    tried = 0
    for method, path, _ in routes(api):
        names = [one for one in _PARAMETER.findall(path) if one in NAMED]
        if not names:
            continue
        answer = guest.http.request(method, paris.fill(path), headers=guest.headers)
        if answer.json()["type"] == "/problems/missing-scope":
            continue
        kind = NAMED[names[0]][0]
        assert answer.json()["type"] == f"/problems/unknown-{kind}", (method, path, answer.text)
        assert "lab=berlin" in answer.json()["detail"]
        # It says of what is there no more than of what is not.
        absent = guest.http.request(method, _PARAMETER.sub("x", path), headers=guest.headers)
        assert absent.status_code == 404
        same = answer.json()["detail"].replace(paris.ids[names[0]], "x")
        assert absent.json()["detail"] == same
        tried += 1
    assert tried > 20
    assert api.job(paris.ids["job_id"]).state == "done"
    assert berlin.ids["job_id"] != paris.ids["job_id"]


def test_nothing_that_is_read_says_anything_of_another_lab(
    api: Api, berlin: Lab, paris: Lab, guest: Api
) -> None:
    said = 0
    for method, path, _ in routes(api):
        if method == "GET" and path.startswith("/v1"):
            everything = api.http.get(berlin.fill(path), headers=api.headers)
            answer = guest.http.get(berlin.fill(path), headers=guest.headers)
            assert not paris.named_in(answer.text), path
            if berlin.named_in(everything.text) and answer.status_code == 200:
                assert berlin.named_in(answer.text), path
                said += 1
    assert said > 12


def test_bodies_that_name_another_lab_are_refused(berlin: Lab, paris: Lab, guest: Api) -> None:
    key = farm.blocks(1)[0].key
    here, there = berlin.ids["target_id"], paris.ids["target_id"]

    def refused(path: str, body: Any, kind: str) -> None:
        said = guest.problem("POST", path, body, status=404, kind=f"unknown-{kind}")
        assert "lab=berlin" in said

    lookup = {"target_id": there, "keys": [key]}
    refused("/v1/latencies:lookup", lookup, "target")
    guest.call("POST", "/v1/latencies:lookup", {**lookup, "target_id": here})
    refused("/v1/jobs", farm.job(farm.blocks(1), target_id=there), "target")
    transfer = TransferRequest(source_target_id=there)
    refused(f"/v1/targets/{here}:transfer", transfer, "target")
    nested = {"name": "x", "target_id": here, "transfer": {"source_target_id": there}}
    said = guest.problem("POST", "/v1/jobs", nested, status=404, kind="unknown-target")
    assert not [one for one in paris.named_in(said) if one != there]
    refused("/v1/webhooks", {"url": "https://example.com", "target_id": there}, "target")
    refused("/v1/webhooks", {"url": "https://example.com", "job_id": paris.ids["job_id"]}, "job")
    refused("/v1/leases", LeaseRequest(device_id=paris.ids["device_id"]), "device")


def test_a_look_up_that_others_have_made_is_not_answered_from_memory(
    api: Api, berlin: Lab, paris: Lab, guest: Api
) -> None:
    lookup = {"target_id": paris.ids["target_id"], "keys": [farm.blocks(1)[0].key]}
    latest = f"/v1/targets/{paris.ids['target_id']}/snapshots/latest"
    api.call("POST", "/v1/latencies:lookup", lookup)
    etag = api.call("GET", latest).headers["ETag"]
    api.call("GET", latest, status=304, headers={"If-None-Match": etag})
    guest.problem("POST", "/v1/latencies:lookup", lookup, status=404, kind="unknown-target")
    guest.call("GET", latest, status=404, headers={"If-None-Match": etag})
    assert berlin.ids["target_id"] != paris.ids["target_id"]


def test_a_job_is_filed_for_devices_with_the_labels(
    api: Api, berlin: Lab, paris: Lab, guest: Api
) -> None:
    wanted: dict[str, Any] = {"name": "x", "select": {"labels": {"floor": "2"}}}
    wanted["operators"] = [one.model_dump(mode="json") for one in farm.blocks(1)]
    everywhere = read_job(api, wanted)
    assert set(everywhere["target_ids"]) == {berlin.ids["target_id"], paris.ids["target_id"]}
    assert read_job(guest, wanted)["target_ids"] == [berlin.ids["target_id"]]
    # Of two targets, one is hidden: the job is, too.
    guest.problem("GET", f"/v1/jobs/{everywhere['id']}", status=404, kind="unknown-job")
    wanted["select"] = {"labels": {"lab": "paris"}}
    said = guest.problem("POST", "/v1/jobs", wanted, status=422, kind="nothing-selected")
    assert not paris.named_in(said)
    assert berlin.ids["target_id"] in said


def read_job(api: Api, wanted: dict[str, Any]) -> dict[str, Any]:
    job: dict[str, Any] = api.call("POST", "/v1/jobs", wanted, status=201).json()
    return job


def test_a_device_that_loses_the_label_is_seen_no_more(api: Api, berlin: Lab, guest: Api) -> None:
    device = berlin.ids["device_id"]
    guest.call("GET", f"/v1/devices/{device}")
    api.call("PUT", f"/v1/devices/{device}/labels", DeviceLabels(labels={"lab": "berlin-2"}))
    guest.problem("GET", f"/v1/devices/{device}", status=404, kind="unknown-device")
    assert guest.call("GET", "/v1/targets").json() == []
    both = limited(api, "tables:read", lab="berlin-2", floor="2")
    assert both.call("GET", "/v1/targets").json() == []


def test_an_agent_registers_devices_with_the_labels(api: Api, paris: Lab) -> None:
    agent = limited(api, "agent", lab="berlin")

    def refused(asked: Any) -> str:
        return agent.problem("POST", "/v1/devices", asked, status=403, kind="outside-labels")

    assert "lab=berlin" in refused(registration("berlin", "Pixel 1"))
    assert "lab=berlin" in refused(registration("berlin", "Pixel 1", lab="paris"))
    # Agents name no labels: then a new device gets the token's.
    plain = agent.register(farm.registration(serial="S9", model="Pixel 9")).id
    assert agent.call("GET", f"/v1/devices/{plain}").json()["labels"] == {"lab": "berlin"}
    # A phone of the same kind, made up or not, is no way to another lab's table.
    said = refused(registration("berlin", "Pixel 2", lab="berlin"))
    assert paris.ids["target_id"] in said
    device = agent.register(registration("berlin", "Pixel 1", lab="berlin")).id
    path = f"/v1/devices/{device}/labels"
    agent.problem("PUT", path, DeviceLabels(labels={}), status=403, kind="outside-labels")
    agent.call("PUT", path, DeviceLabels(labels={"lab": "berlin", "shelf": "1"}))
    # What it has registered stays its own, also a target that the device has left for another.
    agent.register(registration("berlin", "Pixel 3", lab="berlin"))
    agent.register(registration("berlin", "Pixel 1", lab="berlin"))
    api.call("PUT", path, DeviceLabels(labels={"lab": "paris"}))
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    lease = agent.claim(device)
    assert agent.upload(farm.visits(lease, device, rounds=1)) == ["stored"]
    assert agent.job(job.id).state == "done"


def test_an_administrator_has_no_limits(api: Api) -> None:
    wanted = {"name": "x", "scopes": ["admin"], "labels": {"lab": "berlin"}}
    said = api.problem("POST", "/v1/tokens", wanted, status=422, kind="invalid-request")
    assert "sees everything" in said


def test_pages_show_no_more(api: Api, berlin: Lab, paris: Lab) -> None:
    token = made(api, "tables:read", "jobs:write", "agent", lab="berlin").token
    visitor = Visitor(api.http.app)  # type: ignore[attr-defined]
    visitor.sign_in(token)
    assert "lab=berlin" in visitor.get("/sessions").text
    shown = 0
    for route in (one for router in ROUTERS for one in router.routes):
        path, methods = getattr(route, "path", ""), getattr(route, "methods", None) or set()
        if "GET" not in methods or path.endswith(("/live", "/progress", "/login")):
            continue
        answer = visitor.http.get(f"/dashboard{berlin.fill(path)}")
        assert not paris.named_in(answer.text), path
        shown += bool(berlin.named_in(answer.text))
        if any(one in NAMED for one in _PARAMETER.findall(path)):
            assert visitor.http.get(f"/dashboard{paris.fill(path)}").status_code == 404, path
    assert shown > 8
    for query in (f"target={paris.ids['target_id']}", f"target_id={paris.ids['target_id']}"):
        for path in ("/comparison", "/jobs/new", models.UPLOAD):
            answer = visitor.http.get(f"/dashboard{path}?{query}")
            text = answer.text.replace(paris.ids["target_id"], "")
            assert not paris.named_in(text), (path, query)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_commands_make_and_show_labels(
    api: Api, settings: Settings, berlin: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROFILER_SERVER_KEY_FILE", str(settings.server_key_file))
    url = ("--database-url", settings.database_url)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli.app, ["token", *arguments, *url])

    create = ("create", "--name", "guests", "--scope", "tables:read", "--label")
    done = run(*create, "lab=berlin", "--label", "floor=2")
    guest = Api(api.http, done.stdout.strip())
    (seen,) = guest.call("GET", "/v1/targets").json()
    assert seen["id"] == berlin.ids["target_id"]
    assert "floor=2, lab=berlin" in run("list").stdout
    listed = json.loads(run("list", "--json").stdout)
    assert [one["labels"] for one in listed][-1] == {"floor": "2", "lab": "berlin"}
    assert api.call("GET", "/v1/tokens?name=guests").json()[0]["labels"] == listed[-1]["labels"]
    wrong = run(*create, "berlin")
    assert "NAME=VALUE" in str(wrong.exception)
    wrong = run("create", "--name", "x", "--scope", "admin", "--label", "lab=berlin")
    assert "sees everything" in str(wrong.exception)
