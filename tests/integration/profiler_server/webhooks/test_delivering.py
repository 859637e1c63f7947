"""Deliveries: signed, repeated until they succeed, given up, taken over from killed servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select, update
from standardwebhooks import WebhookVerificationError

from netspec.wire import MadeWebhook, WebhookMessage
from profiler_server.auth import service as auth
from profiler_server.auth.scopes import Scope
from profiler_server.events.rows import DeliveryRow, DeliveryState, EventKind, EventRow, WebhookRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.webhooks import delivering, retries, service
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api, read
from tests.integration.profiler_server.webhooks.receiver import Receiver, receiving
from tests.waiting import wait_for

LOOPBACK = "127.0.0.0/8, ::1"


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(delivering, "_UPKEEP_EVERY_S", 0.05)
    monkeypatch.setattr(retries, "_FIRST_S", 0.05)
    monkeypatch.setattr(retries, "_GROWTH", 1.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def near(make_api: MakeApi) -> Api:
    """A server that sends to this machine."""
    return make_api(webhook_networks=networks(LOOPBACK))


def networks(text: str) -> object:
    made = Settings.model_validate(
        {"database_url": "sqlite:///x", "server_key_file": "key", "webhook_networks": text}
    )
    return made.webhook_networks


def hook(api: Api, url: str, *kinds: str) -> MadeWebhook:
    wanted = {"url": url, "kinds": list(kinds)}
    return read(MadeWebhook, api.call("POST", "/v1/webhooks", wanted, status=201))


def test(api: Api, webhook: MadeWebhook) -> int:
    answer = api.call("POST", f"/v1/webhooks/{webhook.webhook.id}:test", status=202)
    return int(answer.json()["id"])


test.__test__ = False  # type: ignore[attr-defined]


def delivery(database: Database, delivery_id: int) -> DeliveryRow:
    with database.read() as session:
        return session.get_one(DeliveryRow, delivery_id)


def ended(database: Database, delivery_id: int) -> DeliveryRow:
    """A delivery once nothing more comes of it."""

    def look() -> DeliveryRow | None:
        row = delivery(database, delivery_id)
        return None if row.state == DeliveryState.PENDING else row

    found = wait_for(look)
    assert found is not None
    return found


def test_a_receiver_that_fails_first_gets_it_again_signed_alike(
    near: Api, receiver: Receiver
) -> None:
    near.register(farm.registration())
    receiver.statuses = [500, 503]
    webhook = hook(near, receiver.url, "job_created")
    job = near.file(farm.job(farm.blocks(1)))
    wait_for(lambda: len(receiver.received) == 3)
    assert len({one.message_id for one in receiver.received}) == 1
    (first, *_) = receiver.verified(webhook.secret)
    message = WebhookMessage.model_validate(first)
    assert (message.type, message.data.job_id) == ("job_created", job.id)
    assert message.timestamp == message.data.at
    path = f"/v1/webhooks/{webhook.webhook.id}/deliveries"
    wait_for(lambda: near.call("GET", f"{path}?state=delivered").json())
    (listed,) = near.call("GET", path).json()
    assert listed["message_id"] == receiver.received[0].message_id
    assert (listed["attempts"], listed["last_status"], listed["last_error"]) == (3, 204, "")
    assert near.call("GET", f"/v1/webhooks/{webhook.webhook.id}").json()["failing_since"] is None


def test_a_rotated_secret_and_the_one_before_sign_for_a_while(
    near: Api, receiver: Receiver, database: Database
) -> None:
    webhook = hook(near, receiver.url, "job_created")
    path = f"/v1/webhooks/{webhook.webhook.id}:rotate"
    rotated = read(MadeWebhook, near.call("POST", path, {"overlap_s": 3_600}))
    ended(database, test(near, webhook))
    for secret in (webhook.secret, rotated.secret):
        assert receiver.verified(secret)[0]["type"] == "webhook_tested"
    with database.write() as session:
        passed = {"previous_until": database_now(session)}
        session.execute(update(WebhookRow).values(passed))
    receiver.received.clear()
    ended(database, test(near, webhook))
    assert receiver.verified(rotated.secret)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(webhook.secret)
    again = read(MadeWebhook, near.call("POST", path, {"overlap_s": 0}))
    receiver.received.clear()
    ended(database, test(near, webhook))
    assert receiver.verified(again.secret)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(rotated.secret)


def test_a_redirect_is_not_followed(near: Api, receiver: Receiver, database: Database) -> None:
    with receiving() as elsewhere:
        receiver.redirect = elsewhere.url
        receiver.statuses = [302] * retries.MOST_ATTEMPTS
        row = ended(database, test(near, hook(near, receiver.url)))
        assert elsewhere.received == []
    assert (row.state, row.attempts) == (DeliveryState.FAILED, retries.MOST_ATTEMPTS)
    assert "redirects are not followed" in row.last_error
    assert row.last_status == 302


def test_nobody_there_is_said(near: Api, database: Database) -> None:
    with receiving() as gone:
        url = gone.url
    row = ended(database, test(near, hook(near, url)))
    assert row.last_status is None
    assert "ConnectError" in row.last_error


def test_who_does_not_answer_holds_nobody_up(
    near: Api, receiver: Receiver, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("profiler_server.webhooks.sending.ATTEMPT_S", 3.0)
    with receiving() as silent:
        silent.hold.set()
        stuck = hook(near, silent.url, "job_created")
        waiting = [test(near, stuck) for _ in range(40)]
        wait_for(lambda: len(silent.received) >= 4)
        ended(database, test(near, hook(near, receiver.url)))
        assert len(silent.received) < 10
        late = wait_for(lambda: delivery(database, waiting[0]).last_error)
        near.call("DELETE", f"/v1/webhooks/{stuck.webhook.id}", status=204)
    assert late == "no answer within 3 s"


def test_a_name_that_stands_for_a_private_address_is_not_connected_to(
    make_api: MakeApi, receiver: Receiver, database: Database
) -> None:
    api = make_api(webhook_networks=networks("10.0.0.0/8"))
    port = receiver.url.split(":")[2]
    row = ended(database, test(api, hook(api, f"https://localhost:{port}")))
    assert "is not of the public internet" in row.last_error
    row = ended(database, test(api, hook(api, f"http://localhost:{port}")))
    assert "expected https" in row.last_error
    assert receiver.received == []


def test_a_webhook_that_fails_for_days_is_disabled_and_enabled_again(
    near: Api, receiver: Receiver, database: Database
) -> None:
    webhook = hook(near, receiver.url, "job_created")
    path = f"/v1/webhooks/{webhook.webhook.id}"
    receiver.statuses = [500] * retries.MOST_ATTEMPTS
    first = test(near, webhook)
    wait_for(lambda: near.call("GET", "/v1/webhooks?state=failing").json())
    with database.write() as session:
        since = database_now(session) - retries.DISABLED_AFTER - timedelta(minutes=1)
        session.execute(update(WebhookRow).values(failing_since=since))
    row = ended(database, first)
    assert row.state == DeliveryState.FAILED
    shown = near.call("GET", path).json()
    assert "nothing was delivered for 5 days" in shown["disabled_reason"]
    assert "nothing was delivered for 5 days" in row.last_error
    near.register(farm.registration())
    near.file(farm.job(farm.blocks(1)))
    assert near.call("GET", f"{path}/deliveries?state=pending").json() == []
    receiver.statuses.clear()
    assert ended(database, test(near, webhook)).state == DeliveryState.DELIVERED
    assert near.call("POST", f"{path}:enable").json()["disabled_at"] is None
    receiver.received.clear()
    near.file(farm.job(farm.blocks(2)))
    wait_for(lambda: receiver.received)
    kinds = [event["kind"] for event in near.call("GET", "/v1/events").json()]
    assert {EventKind.WEBHOOK_DISABLED, EventKind.WEBHOOK_ENABLED} <= set(kinds)


def test_a_receiver_that_wants_no_more_gets_no_more(
    near: Api, receiver: Receiver, database: Database
) -> None:
    receiver.statuses = [410]
    webhook = hook(near, receiver.url, "job_created")
    ended(database, test(near, webhook))
    shown = near.call("GET", f"/v1/webhooks/{webhook.webhook.id}").json()
    assert "410" in shown["disabled_reason"]


def test_a_revoked_token_is_told_nothing_more(
    near: Api, receiver: Receiver, database: Database, make_token: Callable[..., str]
) -> None:
    owner = Api(near.http, make_token(Scope.JOBS_WRITE))
    webhook = hook(owner, receiver.url)
    receiver.hold.set()
    test(owner, webhook)
    wait_for(lambda: receiver.received)
    with database.write() as session:
        auth.revoke(session, webhook.webhook.owner.token_id)
        session.execute(update(DeliveryRow).values(next_at=database_now(session)))
    receiver.hold.clear()
    path = f"/v1/webhooks/{webhook.webhook.id}"
    shown = wait_for(lambda: near.call("GET", path).json()["disabled_reason"])
    assert "its token was revoked" in shown
    assert len(receiver.received) == 1


def test_two_servers_send_each_delivery_once(
    near: Api, make_api: MakeApi, receiver: Receiver, database: Database
) -> None:
    if database.is_sqlite:
        pytest.skip("an SQLite database has one server")
    make_api(webhook_networks=networks(LOOPBACK))
    webhook = hook(near, receiver.url)
    ids = [test(near, webhook) for _ in range(60)]
    for one in ids:
        ended(database, one)
    names = [one.message_id for one in receiver.received]
    assert len(set(names)) == len(names)
    assert {service.message_id(one) for one in ids} <= set(names)


def test_old_deliveries_are_forgotten(near: Api, receiver: Receiver, database: Database) -> None:
    sent = test(near, hook(near, receiver.url, "job_created"))
    ended(database, sent)
    with database.write() as session:
        old = database_now(session) - delivering.KEPT - timedelta(minutes=1)
        session.execute(update(DeliveryRow).values(created_at=old))

    def is_gone() -> bool:
        with database.read() as session:
            return session.get(DeliveryRow, sent) is None

    wait_for(is_gone)
    with database.read() as session:
        assert session.scalars(select(EventRow)).all()


def test_what_a_killed_server_was_sending_is_sent_by_the_next_one(
    tmp_path: Path, receiver: Receiver, database_url: str, database: Database
) -> None:
    variables = {
        "PROFILER_WEBHOOK_NETWORKS": LOOPBACK,
        "PROFILER_DATABASE_URL": database_url,
        "PROFILER_SERVER_KEY_FILE": str(tmp_path / "server.key"),
    }
    receiver.hold.set()
    with (
        Server(tmp_path, variables=variables) as server,
        httpx2.Client(base_url=server.url) as http,
    ):
        api = Api(http, server.about_token.rsplit(" ", 1)[1])
        webhook = hook(api, receiver.url)
        sent = test(api, webhook)
        wait_for(lambda: receiver.received)
        server.kill()
    assert delivery(database, sent).state == DeliveryState.PENDING
    receiver.hold.clear()
    with database.write() as session:
        # As if so long had passed: before, nobody takes over what is being sent.
        passed = {"next_at": database_now(session)}
        session.execute(update(DeliveryRow).where(DeliveryRow.id == sent).values(passed))
    with Server(tmp_path, variables=variables):
        assert ended(database, sent).attempts == 2
    names = [one.message_id for one in receiver.received]
    assert names.count(service.message_id(sent)) == 2
    assert receiver.verified(webhook.secret)


def test_a_webhook_gets_nothing_that_its_token_sees_no_more(near: Api, receiver: Receiver) -> None:
    labels = {"lab": "berlin"}
    registration = farm.registration().model_copy(update={"labels": labels})
    device = near.register(registration).id
    wanted = {"name": "guest", "scopes": ["jobs:write"], "labels": labels}
    guest = Api(near.http, near.call("POST", "/v1/tokens", wanted, status=201).json()["token"])
    webhook = hook(guest, receiver.url, "job_cancelled")
    path = f"/v1/webhooks/{webhook.webhook.id}/deliveries"
    seen, hidden = (guest.file(farm.job(farm.blocks(1))) for _ in range(2))
    guest.call("POST", f"/v1/jobs/{seen.id}:cancel")
    wait_for(lambda: guest.call("GET", f"{path}?state=delivered").json())
    near.call("PUT", f"/v1/devices/{device}/labels", {"labels": {"lab": "paris"}})
    near.call("POST", f"/v1/jobs/{hidden.id}:cancel")
    (withheld,) = wait_for(lambda: guest.call("GET", f"{path}?state=failed").json())
    assert "limited to labels" in withheld["last_error"]
    test(guest, webhook)
    wait_for(lambda: len(receiver.received) == 2)
    kinds = [one["type"] for one in receiver.verified(webhook.secret)]
    assert kinds == ["job_cancelled", "webhook_tested"]
