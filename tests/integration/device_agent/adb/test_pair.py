"""`device-agent pair`: the code is asked for, or read, and never shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from device_agent.cli import app
from netspec.console.connection import DATA_DIR_VARIABLE
from netspec.errors import UserError
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.pairing_dialog import PairingDialog
from tests.waiting import wait_for

CODE = "482109"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))


@pytest.fixture
def dialog(fake_phones: FakePhones, fake_phone: FakePhone) -> Iterator[PairingDialog]:
    fake_phone.wants_tls = True
    with PairingDialog(fake_phones, fake_phone, CODE) as shown:
        yield shown


def address(dialog: PairingDialog) -> str:
    return f"127.0.0.1:{dialog.port}"


def called(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["pair", *words], input=typed)


def keys(phone: FakePhone, dialog: PairingDialog) -> list[bytes]:
    wait_for(lambda: not dialog.busy, 5)
    return phone.trusted_keys


def test_the_code_is_read(dialog: PairingDialog, fake_phone: FakePhone, tmp_path: Path) -> None:
    said = called(address(dialog), "--code-file", "-", typed=f"{CODE}\n")
    assert said.exit_code == 0
    assert f"127.0.0.1 calls itself {dialog.guid}." in said.stdout
    assert "device-agent doctor 127.0.0.1:PORT" in said.stdout
    assert CODE not in said.output
    (tmp_path / "code").write_text(CODE)
    assert called(address(dialog), "--code-file", str(tmp_path / "code")).exit_code == 0
    assert len(keys(fake_phone, dialog)) == 2
    assert b"device-agent@" in keys(fake_phone, dialog)[0]


def test_the_code_is_asked_for_at_a_terminal(dialog: PairingDialog, fake_phone: FakePhone) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "device_agent", "pair", address(dialog)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the terminal's end
        while more := os.read(ours, 1000):
            said += more
            if said.endswith(b"Code that the phone shows: "):
                os.write(ours, f"{CODE}\n".encode())
    os.close(ours)
    assert process.wait(20) == 0, said
    assert dialog.guid.encode() in said
    assert CODE.encode() not in said
    assert len(keys(fake_phone, dialog)) == 1


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (("127.0.0.1", "--code-file", "-"), CODE, "'127.0.0.1' names no port; write HOST:PORT"),
        (("127.0.0.1:1", "--code-file", "-"), " \n", "the code is empty; give the one"),
        (("127.0.0.1:1",), CODE, "asked for at a terminal, and there is none; pass it with"),
        (("127.0.0.1:1", "--code-file", "-"), CODE, "no answer at 127.0.0.1:1 .*; keep the phone"),
    ],
)
def test_what_is_wrong_is_said(words: tuple[str, ...], typed: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        raise called(*words, typed=typed).exception or AssertionError


def test_another_code_ends_with_a_sentence(dialog: PairingDialog) -> None:
    with pytest.raises(UserError, match="shows another code"):
        raise called(address(dialog), "--code-file", "-", typed="1").exception or AssertionError
