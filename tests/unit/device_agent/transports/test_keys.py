from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from adb_shell.auth.keygen import encode_pubkey, keygen
from adb_shell.auth.sign_cryptography import CryptographySigner

from device_agent.errors import AdbMissing
from device_agent.transports.keys import Key, machine_key


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "adbkey"
    keygen(str(path))
    return path


def test_signatures_and_public_key_are_those_of_adb_shell(made: Path) -> None:
    theirs = CryptographySigner(str(made))
    ours = Key(made)
    token = bytes(range(20))
    assert ours.Sign(token) == theirs.Sign(token)
    assert ours.GetPublicKey().split()[0] == theirs.GetPublicKey().split()[0]
    assert len(encode_pubkey(str(made))) == 524


def test_a_new_key_is_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    key = machine_key(tmp_path, home=tmp_path / "nobody")
    assert key.path == tmp_path / "adbkey"
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    again = machine_key(tmp_path, home=tmp_path / "nobody")
    assert again.GetPublicKey() == key.GetPublicKey()
    assert [path.name for path in tmp_path.iterdir()] == ["adbkey"]


def test_the_users_own_key_is_preferred(made: Path, tmp_path: Path) -> None:
    (tmp_path / ".android").mkdir()
    (tmp_path / ".android/adbkey").write_bytes(made.read_bytes())
    assert machine_key(tmp_path, home=tmp_path).path == tmp_path / ".android/adbkey"
    assert not (tmp_path / "adbkey").exists()


def test_two_processes_find_one_key(tmp_path: Path) -> None:
    keys: list[bytes] = []

    def use() -> None:
        keys.append(machine_key(tmp_path, home=tmp_path / "nobody").GetPublicKey())

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 2
    assert keys[0] == keys[1]


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "adbkey").write_text(text)
    with pytest.raises(AdbMissing, match="is not an RSA key of 2048 bits"):
        machine_key(tmp_path, home=tmp_path / "nobody")
