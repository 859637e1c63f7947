from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from profiler_server.dashboard.form_tokens import FormTokens, nonce

KEY = bytes(range(32))


def test_a_form_token_is_of_one_cookie_and_one_server() -> None:
    tokens = FormTokens(KEY)
    made = tokens.form_token("one")
    assert tokens.is_form_token("one", made)
    assert FormTokens(KEY).is_form_token("one", made)
    assert not tokens.is_form_token("other", made)
    assert not FormTokens(bytes(32)).is_form_token("one", made)


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text())
def test_nothing_that_was_not_signed_is_taken(cookie: str, given_token: str) -> None:
    assert not FormTokens(KEY).is_form_token(cookie, given_token)


def test_nonces_differ() -> None:
    assert len({nonce() for _ in range(100)}) == 100
