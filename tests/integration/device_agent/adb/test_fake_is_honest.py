"""The fake phone against Android's own adb client, so that tests on it mean something."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from device_agent.transports.keys import machine_key
from device_agent.transports.wifi.tls import certificate_of
from tests.phones.adb_server import bundled_adb, running_server
from tests.phones.debian_adbd import CannotHave
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.pairing_dialog import PairingDialog
from tests.waiting import wait_for

Adb = Callable[..., "subprocess.CompletedProcess[bytes]"]
TMP = "/data/local/tmp"


def program(kind: str) -> Path:
    if kind == "wheel":
        try:
            return bundled_adb()
        except CannotHave as error:
            pytest.skip(str(error))
    if (found := shutil.which("adb")) is None:
        pytest.skip("no adb of this machine's distribution: install the package adb")
    return Path(found)


@pytest.fixture(scope="module", params=["distribution", "wheel"])
def adb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adb]:
    """Calls the client, whose server runs already."""
    client = program(request.param)
    folder = tmp_path_factory.mktemp("adb")
    with ExitStack() as stack:
        try:
            port = stack.enter_context(running_server(folder, client))
        except CannotHave as error:
            pytest.skip(str(error))

        def call(*words: str | Path, timeout_s: float = 20) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                [client, "-P", str(port), *words],
                capture_output=True,
                check=False,
                timeout=timeout_s,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"HOME": str(folder)},
            )

        yield call


@pytest.fixture
def phone(
    adb: Adb, fake_phone: FakePhone
) -> Iterator[Callable[..., subprocess.CompletedProcess[bytes]]]:
    adb("connect", fake_phone.address)
    wait_for_state(adb, fake_phone, "device")
    yield lambda *words: adb("-s", fake_phone.address, *words)
    adb("disconnect", fake_phone.address)


def wait_for_state(adb: Adb, phone: FakePhone, state: str) -> None:
    wait_for(lambda: f"{phone.address}\t{state}" in adb("devices").stdout.decode(), 10)


def test_shell(phone: Adb) -> None:
    said = phone("shell", "echo out; echo err >&2; exit 7")
    assert (said.returncode, said.stdout, said.stderr) == (7, b"out\n", b"err\n")
    assert phone("shell", "getprop ro.product.model").stdout == b"Pixel Test\n"
    assert phone("shell", "nosuchprogram").returncode == 127
    assert phone("exec-out", "printf 'a\\nb'").stdout == b"a\nb"


def test_long_output(phone: Adb) -> None:
    said = phone("shell", "i=0; while [ $i -lt 300 ]; do echo line $i of many; i=$((i+1)); done")
    assert said.stdout.decode().splitlines() == [f"line {i} of many" for i in range(300)]


def test_push_pull_and_list(phone: Adb, fake_phone: FakePhone, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096 * 3
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(content)
    source.chmod(0o755)
    assert phone("push", source, f"{TMP}/new/model").returncode == 0
    assert fake_phone.files.read(f"{TMP}/new/model") == content
    assert phone("pull", f"{TMP}/new/model", back).returncode == 0
    assert back.read_bytes() == content
    listed = phone("ls", f"{TMP}/new").stdout.decode().split()
    assert listed[0].startswith("000081")  # a regular file's mode
    assert int(listed[1], 16) == len(content)
    assert listed[-1] == "model"


def test_what_cannot_be_read_or_written(phone: Adb, fake_phone: FakePhone, tmp_path: Path) -> None:
    said = phone("pull", f"{TMP}/nothing", tmp_path / "nothing")
    assert said.returncode == 1
    assert b"does not exist" in said.stdout + said.stderr
    source = tmp_path / "source"
    source.write_bytes(bytes(2**20))
    said = phone("push", source, "/system/model")
    assert b"Read-only file system" in said.stdout + said.stderr
    fake_phone.fill_disk(free=1000)
    said = phone("push", source, f"{TMP}/model")
    assert said.returncode == 1
    assert b"No space left on device" in said.stdout + said.stderr


def test_the_key_is_really_checked(adb: Adb, fake_phone: FakePhone) -> None:
    fake_phone.show_dialog()
    adb("connect", fake_phone.address)
    wait_for_state(adb, fake_phone, "unauthorized")
    fake_phone.accept_key()
    wait_for_state(adb, fake_phone, "device")
    assert adb("-s", fake_phone.address, "shell", "echo on").stdout == b"on\n"
    # Known now: it signs, and nobody is asked again.
    adb("disconnect", fake_phone.address)
    asked = len(fake_phone.trusted_keys)
    adb("connect", fake_phone.address)
    wait_for_state(adb, fake_phone, "device")
    assert len(fake_phone.trusted_keys) == asked == 1
    adb("disconnect", fake_phone.address)


def test_pairing_and_tls(
    adb: Adb, fake_phone: FakePhone, fake_phones: FakePhones, tmp_path: Path
) -> None:
    if b"pair HOST" not in adb("help").stdout:
        pytest.skip("this adb is from before Android 11 and does not pair")
    fake_phone.wants_tls = True
    with PairingDialog(fake_phones, fake_phone, "482109") as dialog:
        address = f"127.0.0.1:{dialog.port}"
        assert adb("pair", address, "482108").returncode != 0
        wait_for(lambda: not dialog.busy, 5)
        assert (fake_phone.trusted_keys, dialog.refused) == ([], 1)
        said = adb("connect", fake_phone.address)
        assert b"failed to connect" in said.stdout, "who is not paired is not let in"
        said = adb("pair", address, "482109")
        assert f"Successfully paired to {address} [guid={dialog.guid}]" in said.stdout.decode()
        wait_for(lambda: not dialog.busy, 5)
    assert len(fake_phone.trusted_keys) == 1
    # adb 36 sends its first bytes of TLS at times before its STLS, which no phone can read.
    wait_for(lambda: b"connected to" in adb("connect", fake_phone.address).stdout, 20)
    wait_for_state(adb, fake_phone, "device")
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 4096)
    assert adb("-s", fake_phone.address, "push", source, f"{TMP}/model").returncode == 0
    assert fake_phone.files.read(f"{TMP}/model") == source.read_bytes()
    adb("disconnect", fake_phone.address)
    theirs = fake_phone.certificates[-1]
    ours = certificate_of(machine_key(tmp_path, tmp_path).private)
    assert described(ours) == described(theirs)


def described(certificate: x509.Certificate) -> list[object]:
    """All of it but the key, the signature and the day."""
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    said: list[object] = [
        (extension.oid, extension.critical, extension.value)
        for extension in certificate.extensions
        if extension.oid != ExtensionOID.SUBJECT_KEY_IDENTIFIER
    ]
    return [
        *(certificate.version, certificate.serial_number, certificate.signature_algorithm_oid),
        *(certificate.subject, certificate.issuer, valid),
        *said,
    ]


def test_reboot(phone: Adb, adb: Adb, fake_phone: FakePhone) -> None:
    before = phone("shell", "cat /proc/sys/kernel/random/boot_id").stdout
    phone("shell", "reboot")

    def is_back() -> bool:
        adb("disconnect", fake_phone.address)
        adb("connect", fake_phone.address)
        after = phone("shell", "cat /proc/sys/kernel/random/boot_id")
        return after.returncode == 0 and after.stdout != before

    wait_for(is_back, 10)
