"""Linux boards for tests; a conftest.py imports the ones that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boards.sshd import Board, CannotHave, sshd_program


@pytest.fixture(scope="session")
def sshd() -> str:
    """OpenSSH's server; without it the test is skipped and says why."""
    try:
        return sshd_program()
    except CannotHave as error:
        pytest.skip(f"no real SSH server: {error}")


@pytest.fixture
def board(sshd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A real SSH server in a chroot that looks like a Raspberry Pi, and a user who may log in."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with Board(sshd, tmp_path / "board", home) as board:
        yield board
