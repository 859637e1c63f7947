from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from profiler_server.dashboard.sessions import SESSION_S, Sessions, nonce

KEY = bytes(range(32))


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_names_its_token_until_it_ends() -> None:
    clock = Clock()
    sessions = Sessions(KEY, clock)
    session = sessions.begin("token_1")
    assert sessions.token_id(session) == "token_1"
    clock.now += SESSION_S - 1
    assert sessions.token_id(session) == "token_1"
    clock.now += 1
    assert sessions.token_id(session) is None


def test_every_replica_with_the_key_takes_a_session_and_no_other_does() -> None:
    session = Sessions(KEY).begin("token_1")
    assert Sessions(KEY).token_id(session) == "token_1"
    assert Sessions(bytes(32)).token_id(session) is None


def test_a_session_cannot_be_given_to_another_token_or_lengthened() -> None:
    sessions = Sessions(KEY)
    session = sessions.begin("token_1")
    token_id, ends, made, signature = session.split(".")
    assert sessions.token_id(f"token_2.{ends}.{made}.{signature}") is None
    assert sessions.token_id(f"{token_id}.{int(ends) + 1}.{made}.{signature}") is None


def test_a_form_token_is_of_one_cookie_and_is_no_session() -> None:
    sessions = Sessions(KEY)
    one, other = sessions.begin("token_1"), sessions.begin("token_1")
    assert sessions.is_form_token(one, sessions.form_token(one))
    assert not sessions.is_form_token(other, sessions.form_token(one))
    content = "token_1.99999999999.aa"
    assert sessions.token_id(f"{content}.{sessions.form_token(content)}") is None


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text())
def test_nothing_that_was_not_signed_is_taken(cookie: str, given_token: str) -> None:
    sessions = Sessions(KEY)
    assert sessions.token_id(cookie) is None
    assert not sessions.is_form_token(cookie, given_token)


def test_nonces_differ() -> None:
    assert len({nonce() for _ in range(100)}) == 100
