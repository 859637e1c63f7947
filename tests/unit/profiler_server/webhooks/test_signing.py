from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from profiler_server.webhooks import retries, signing


def test_the_specifications_own_library_verifies_what_is_signed() -> None:
    key, body = signing.secret(b"server", "salt"), b'{"type": "job_created"}'
    sent = signing.headers([key], "msg_1", int(time.time()), body)
    assert Webhook(signing.shown(key)).verify(body, sent) == {"type": "job_created"}
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.shown(key)).verify(body + b" ", sent)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.shown(key)).verify(body, {**sent, "webhook-id": "msg_2"})


def test_the_specifications_example() -> None:
    """The vector that the libraries of the specification share."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sent = signing.headers(
        [key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_differ_by_salt_and_server() -> None:
    made = {
        signing.secret(server, salt)
        for server in (b"one", b"two")
        for salt in (signing.new_salt(), signing.new_salt())
    }
    assert len(made) == 4


def test_pauses_grow_to_half_a_day_and_differ() -> None:
    pauses = [retries.pause_s(attempts) for attempts in range(1, retries.MOST_ATTEMPTS)]
    for attempts, pause in enumerate(pauses, 1):
        assert 0.8 <= pause / min(43_200, 5 * 4 ** (attempts - 1)) <= 1.2
    assert 1.5 * 86_400 < sum(pauses) < 3 * 86_400
    assert len({retries.pause_s(3) for _ in range(20)}) > 1
    with pytest.raises(ValueError, match="at least 1 attempt"):
        retries.pause_s(0)
