"""Phones for tests; a conftest.py imports the ones that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.phones.adb_server import running_server
from tests.phones.adbd import AdbdPhone
from tests.phones.debian_adbd import CannotHave, adbd_programs
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones


@pytest.fixture(scope="session")
def adbd_folder() -> Path:
    """Debian's adbd, downloaded once; without it the test is skipped and says why."""
    try:
        return adbd_programs()
    except CannotHave as error:
        pytest.skip(f"no real adb daemon: {error}")


@pytest.fixture
def adbd_phone(adbd_folder: Path, tmp_path: Path) -> Iterator[AdbdPhone]:
    """A real adb daemon in a chroot that looks like a healthy phone."""
    with AdbdPhone(adbd_folder, tmp_path / "phone") as phone:
        yield phone


@pytest.fixture
def fake_phones() -> Iterator[FakePhones]:
    """Room for fake phones, without any yet."""
    with FakePhones() as phones:
        yield phones


@pytest.fixture
def fake_phone(fake_phones: FakePhones) -> FakePhone:
    """A healthy fake phone."""
    return fake_phones.add()


@pytest.fixture(scope="session")
def adb_server_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An adb server of the tests' own; without an adb program the test is skipped."""
    with ExitStack() as stack:
        try:
            port = stack.enter_context(running_server(tmp_path_factory.mktemp("adb-server")))
        except CannotHave as error:
            pytest.skip(str(error))
        yield port


@pytest.fixture
def adb_server(adb_server_port: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Its port; the transports find it in the environment."""
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(adb_server_port))
    return adb_server_port
