from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import UserError
from profiler_server.auth import tokens


def test_a_known_token() -> None:
    # CRC-32 of 32 zeros is 2700251856: in base62 2wjyrI
    assert tokens.is_well_formed("pfs_" + "0" * 32 + "2wjyrI")


def test_tokens_differ_and_are_well_formed() -> None:
    made = {tokens.new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(tokens.is_well_formed(token) for token in made)
    assert {len(token) for token in made} == {4 + 32 + 6}


@settings(max_examples=100, deadline=None)
@given(st.integers(4, 41), st.characters())
def test_one_wrong_character_is_noticed(position: int, character: str) -> None:
    token = tokens.new_token()
    changed = token[:position] + character + token[position + 1 :]
    assert tokens.is_well_formed(changed) == (changed == token)


@pytest.mark.parametrize("text", ["", "pfs_", "ghp_" + "0" * 38, "pfs_" + "ä" * 38])
def test_what_is_no_token(text: str) -> None:
    assert not tokens.is_well_formed(text)


def test_the_hash_depends_on_the_key() -> None:
    assert tokens.digest(b"a", "pfs_x") != tokens.digest(b"b", "pfs_x")
    # HMAC-SHA-256, RFC 4231, test case 2
    assert (
        tokens.digest(b"Jefe", "what do ya want for nothing?")
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_the_server_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    key = tokens.server_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert tokens.server_key(path) == key
    assert tokens.server_key(tmp_path / "other.key") != key


def test_replicas_that_start_at_once_make_one_server_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.key"
    of_other: list[bytes] = []

    def meanwhile(count: int) -> bytes:
        monkeypatch.undo()
        of_other.append(tokens.server_key(path))
        return bytes(count)

    monkeypatch.setattr(secrets, "token_bytes", meanwhile)
    assert [tokens.server_key(path)] == of_other
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "00", "no hex"])
def test_a_broken_server_key_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "server.key"
    path.write_text(content, encoding="ascii")
    with pytest.raises(UserError, match=r"server\.key"):
        tokens.server_key(path)
    with pytest.raises(UserError, match="cannot be used"):
        tokens.server_key(tmp_path / "no" / "such" / "folder")
