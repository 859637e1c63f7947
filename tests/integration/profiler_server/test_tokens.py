"""Tokens over the API: shown once, no stronger than their maker, rotated with an overlap."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from netspec.wire import MadeToken, TokenInfo
from profiler_server import cli
from profiler_server.auth import service
from profiler_server.auth.rows import TokenRow
from profiler_server.auth.scopes import Scope
from profiler_server.events.rows import EventRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read

MakeToken = Callable[..., str]


def made(api: Api, **fields: object) -> MadeToken:
    wanted = {"name": "farm-1", "scopes": ["agent"], **fields}
    answer = api.call("POST", "/v1/tokens", wanted, status=201)
    assert answer.headers["Cache-Control"] == "no-store"
    return read(MadeToken, answer)


def rotated(api: Api, token_id: str, overlap_s: float) -> MadeToken:
    answer = api.call("POST", f"/v1/tokens/{token_id}:rotate", {"overlap_s": overlap_s})
    assert answer.headers["Cache-Control"] == "no-store"
    return read(MadeToken, answer)


@pytest.fixture
def unforgetting(monkeypatch: pytest.MonkeyPatch, make_api: MakeApi) -> Api:
    """A server that asks the database about every token."""
    monkeypatch.setattr(service, "TRUSTED_S", 0.0)
    return make_api()


def test_a_token_that_was_made_works_and_is_shown_once(api: Api, database: Database) -> None:
    new = made(api, days=1)
    device = Api(api.http, new.token).register(farm.registration())
    assert device.id
    assert (new.info.name, new.info.scopes) == ("farm-1", ("agent",))
    assert new.info.made_by is not None
    assert new.info.expires_at is not None
    again = rotated(api, new.info.id, 60)
    pages = ("/v1/tokens", f"/v1/tokens/{new.info.id}", "/v1/events", "/metrics")
    shown = [api.call("GET", path).text for path in pages]
    with database.read() as session:
        shown += [json.dumps([row.data for row in session.scalars(select(EventRow))])]
        rows = session.scalars(select(TokenRow)).all()
        shown += [repr(vars(row)) for row in rows]
    secret = {new.token, again.token}
    assert not [text for text in shown if any(one in text for one in secret)]
    kinds = {event["kind"] for event in api.call("GET", "/v1/events").json()}
    assert {"token_created", "token_rotated"} <= kinds


def test_only_an_admin_makes_tokens(api: Api, make_token: MakeToken) -> None:
    other = Api(api.http, make_token(Scope.AGENT, Scope.JOBS_WRITE, Scope.TABLES_READ))
    wanted = {"name": "x", "scopes": ["tables:read"]}
    other.problem("POST", "/v1/tokens", wanted, status=403, kind="missing-scope")
    (first, *_) = api.call("GET", "/v1/tokens").json()
    for verb, body in (("rotate", {}), ("revoke", None)):
        path = f"/v1/tokens/{first['id']}:{verb}"
        other.problem("POST", path, body, status=403, kind="missing-scope")
    other.problem("GET", "/v1/tokens", status=403, kind="missing-scope")


def test_no_token_makes_one_that_lasts_longer(api: Api, make_token: MakeToken) -> None:
    brief = Api(api.http, make_token(Scope.ADMIN, days=1))
    end = made(brief).info.expires_at
    assert end is not None
    assert made(brief, days=0.5).info.expires_at < end  # type: ignore[operator]
    wanted = {"name": "x", "scopes": ["agent"], "days": 2}
    said = brief.problem("POST", "/v1/tokens", wanted, status=403, kind="stronger-token")
    assert f"{end:%Y-%m-%d %H:%M}" in said
    # To learn the secret of a stronger one is as good as to make it.
    lasting = made(api).info.id
    path = f"/v1/tokens/{lasting}:rotate"
    brief.problem("POST", path, {}, status=403, kind="stronger-token")
    brief.call("POST", f"/v1/tokens/{lasting}:revoke")


def test_a_rotated_token_keeps_its_devices_and_both_secrets_work_for_a_while(
    unforgetting: Api, database: Database
) -> None:
    api = unforgetting
    new = made(api)
    before = Api(api.http, new.token)
    device = before.register(farm.registration()).id
    after = Api(api.http, rotated(api, new.info.id, 3_600).token)
    for one in (before, after):
        assert one.register(farm.registration()).id == device
        one.no_work(device)
    with database.write() as session:
        passed = {"previous_until": database_now(session)}
        session.execute(update(TokenRow).where(TokenRow.id == new.info.id).values(passed))
    said = before.problem("GET", "/v1/jobs", status=401, kind="invalid-token")
    assert "it was rotated" in said
    after.no_work(device)


def test_without_overlap_the_secret_before_ends_at_once(unforgetting: Api) -> None:
    api = unforgetting
    new = made(api)
    before = Api(api.http, new.token)
    before.call("GET", "/v1/jobs")
    after = Api(api.http, rotated(api, new.info.id, 0).token)
    before.problem("GET", "/v1/jobs", status=401, kind="invalid-token")
    after.call("GET", "/v1/jobs")


def test_of_three_secrets_the_first_is_taken_no_more(unforgetting: Api) -> None:
    api = unforgetting
    new = made(api)
    second = rotated(api, new.info.id, 3_600)
    third = rotated(api, new.info.id, 3_600)
    Api(api.http, new.token).problem("GET", "/v1/jobs", status=401, kind="invalid-token")
    for one in (second, third):
        Api(api.http, one.token).call("GET", "/v1/jobs")


def test_a_revoked_token_is_not_rotated(unforgetting: Api) -> None:
    api = unforgetting
    new = made(api)
    path = f"/v1/tokens/{new.info.id}"
    first = read(TokenInfo, api.call("POST", f"{path}:revoke"))
    assert first.revoked_at is not None
    assert read(TokenInfo, api.call("POST", f"{path}:revoke")) == first
    Api(api.http, new.token).problem("GET", "/v1/jobs", status=401, kind="invalid-token")
    api.problem("POST", f"{path}:rotate", {}, status=409, kind="token-ended")
    api.problem("GET", "/v1/tokens/token_x", status=404, kind="unknown-token")


def test_the_list_comes_in_pages(api: Api) -> None:
    ids = [made(api).info.id for _ in range(3)]
    page = api.call("GET", "/v1/tokens?limit=2")
    rest = api.call("GET", page.links["next"]["url"])
    listed = [one["id"] for one in (*page.json(), *rest.json())]
    assert listed[1:] == ids


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_rotates(
    unforgetting: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = made(unforgetting)
    monkeypatch.setenv("PROFILER_SERVER_KEY_FILE", str(settings.server_key_file))
    url = ("--database-url", settings.database_url)
    command = ["token", "rotate", new.info.id, "--overlap-hours", "0", *url]
    done = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    Api(unforgetting.http, done.stdout.strip()).call("GET", "/v1/jobs")
    Api(unforgetting.http, new.token).call("GET", "/v1/jobs", status=401)
