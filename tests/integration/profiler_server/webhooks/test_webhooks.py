"""Webhooks over the API: who may make them, what they get, and where nothing is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import TypeAdapter
from sqlalchemy import select

from netspec.wire import Delivery, MadeWebhook, Webhook
from profiler_server.auth.scopes import Scope
from profiler_server.events.rows import DeliveryRow, EventRow, WebhookRow
from profiler_server.kit.sql.database import Database
from profiler_server.webhooks.service import MOST_WEBHOOKS
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

MakeToken = Callable[..., str]
#: a name that stands for nothing. Source: RFC 6761
URL = "https://receiver.invalid/hook"


def made(api: Api, **fields: object) -> MadeWebhook:
    answer = api.call("POST", "/v1/webhooks", {"url": URL, **fields}, status=201)
    assert answer.headers["Cache-Control"] == "no-store"
    return read(MadeWebhook, answer)


def owed(api: Api, webhook: MadeWebhook) -> list[str]:
    """The kinds of its deliveries, oldest first."""
    path = f"/v1/webhooks/{webhook.webhook.id}/deliveries?sort=id"
    listed = TypeAdapter(list[Delivery]).validate_json(api.call("GET", path).content)
    return [delivery.kind for delivery in listed]


def writer(api: Api, make_token: MakeToken) -> Api:
    return Api(api.http, make_token(Scope.JOBS_WRITE))


def test_a_secret_is_shown_once_and_is_not_in_the_database(api: Api, database: Database) -> None:
    first = made(api, name="chat", kinds=["job_created"])
    second = read(
        MadeWebhook, api.call("POST", f"/v1/webhooks/{first.webhook.id}:rotate", {"overlap_s": 60})
    )
    assert first.secret != second.secret
    assert second.webhook.previous_until is not None
    pages = ("/v1/webhooks", f"/v1/webhooks/{first.webhook.id}", "/v1/events", "/metrics")
    shown = [api.call("GET", path).text for path in pages]
    with database.read() as session:
        for table in (WebhookRow, EventRow):
            shown += [repr(vars(row)) for row in session.scalars(select(table))]
    for secret in (first.secret, second.secret):
        assert not [text for text in shown if secret.removeprefix("whsec_") in text]


def test_a_webhook_is_listed_shown_and_deleted(api: Api) -> None:
    webhooks = [made(api, name=str(index), kinds=["job_created"]).webhook for index in range(3)]
    page = api.call("GET", "/v1/webhooks?limit=2")
    rest = api.call("GET", page.links["next"]["url"])
    assert [one["id"] for one in (*page.json(), *rest.json())] == [one.id for one in webhooks]
    path = f"/v1/webhooks/{webhooks[0].id}"
    assert read(Webhook, api.call("GET", path)) == webhooks[0]
    assert len(api.call("GET", "/v1/webhooks?state=working").json()) == 3
    assert api.call("GET", "/v1/webhooks?state=failing&state=disabled").json() == []
    api.call("DELETE", path, status=204)
    api.problem("GET", path, status=404, kind="unknown-webhook")
    api.problem("DELETE", path, status=404, kind="unknown-webhook")


def test_filters_choose_what_is_owed(api: Api) -> None:
    device = api.register(farm.registration()).id
    api.register(farm.registration("S2", "Pixel 2"))
    other = farm.identity("Pixel 2").id
    everything = made(api)
    of_kind = made(api, kinds=["lease_claimed", "job_cancelled"])
    of_target = made(api, target_id=farm.identity().id)
    of_other = made(api, target_id=other)
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    of_job = made(api, job_id=job.id)
    api.file(farm.job(farm.blocks(1), target_id=other))
    lease = api.claim(device)
    api.release(lease)
    api.call("POST", f"/v1/jobs/{job.id}:cancel")
    leased = ["lease_claimed", "lease_released"]
    assert owed(api, of_kind) == ["lease_claimed", "job_cancelled"]
    cancelled = ["job_cancelled", "job_finished"]
    assert owed(api, of_target) == ["job_created", *leased, *cancelled]
    assert owed(api, of_other) == ["job_created"]
    assert owed(api, of_job) == cancelled
    assert owed(api, everything) == [
        *["webhook_created"] * 3,
        "job_created",
        "webhook_created",
        "job_created",
        *leased,
        *cancelled,
    ]
    api.call("DELETE", f"/v1/jobs/{job.id}", status=204)
    assert owed(api, of_job)[-1] == "job_deleted"


def test_who_is_no_administrator_hears_of_its_own_jobs(api: Api, make_token: MakeToken) -> None:
    api.register(farm.registration())
    owner = writer(api, make_token)
    webhook = made(owner)
    assert webhook.webhook.own_jobs_only
    foreign = api.file(farm.job(farm.blocks(1)))
    own = owner.file(farm.job(farm.blocks(1)))
    api.call("POST", f"/v1/jobs/{foreign.id}:cancel")
    api.call("POST", f"/v1/jobs/{own.id}:cancel")
    assert owed(owner, webhook) == ["job_created", "job_cancelled", "job_finished"]
    wanted = {"url": URL, "job_id": foreign.id}
    owner.problem("POST", "/v1/webhooks", wanted, status=403, kind="not-the-owner")


def test_a_webhook_is_its_owners(api: Api, make_token: MakeToken) -> None:
    owner, other = writer(api, make_token), writer(api, make_token)
    path = f"/v1/webhooks/{made(owner).webhook.id}"
    for method, more, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", ":rotate", {}),
        ("POST", ":test", None),
        ("POST", ":enable", None),
        ("GET", "/deliveries", None),
    ):
        other.problem(method, path + more, body, status=403, kind="not-the-owner")
    assert other.call("GET", "/v1/webhooks").json() == []
    assert len(api.call("GET", "/v1/webhooks").json()) == 1
    api.call("DELETE", path, status=204)
    reader = Api(api.http, make_token(Scope.TABLES_READ))
    reader.problem("POST", "/v1/webhooks", {"url": URL}, status=403, kind="missing-scope")


def test_a_token_has_a_bounded_number(api: Api) -> None:
    for _ in range(MOST_WEBHOOKS):
        made(api, kinds=["job_created"])
    api.problem("POST", "/v1/webhooks", {"url": URL}, status=409, kind="too-many-webhooks")


def test_where_nothing_is_sent_is_refused_at_once(api: Api) -> None:
    wanted = {"url": "https://10.1.2.3/"}
    detail = api.problem("POST", "/v1/webhooks", wanted, status=422, kind="invalid-request")
    assert "body.url: 10.1.2.3 is not of the public internet" in detail


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"kinds": ["job_craeted"]}, "invalid-request", "job_created"),
        ({"job_id": "job_x"}, "unknown-job", "job_x"),
        ({"target_id": "x"}, "unknown-target", "x"),
    ],
)
def test_a_filter_that_would_let_nothing_through_is_refused(
    api: Api, fields: dict[str, object], kind: str, said: str
) -> None:
    status = 422 if kind == "invalid-request" else 404
    wanted = {"url": URL, **fields}
    assert said in api.problem("POST", "/v1/webhooks", wanted, status=status, kind=kind)


def test_what_a_failed_request_did_is_owed_to_nobody(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event and what is owed are of one transaction: both are there, or neither."""
    api.register(farm.registration())
    made(api, kinds=["job_created"])
    job = api.file(farm.job(farm.blocks(1)))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("profiler_server.jobs.service._follow", fail)
    request = farm.job(farm.blocks(1))
    api.problem("POST", "/v1/jobs", request, status=500, kind="internal-error")
    with database.read() as session:
        jobs = session.scalars(
            select(EventRow.job_id).join(DeliveryRow, DeliveryRow.event_id == EventRow.id)
        ).all()
    assert jobs == [job.id]
