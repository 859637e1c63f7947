"""Both kinds of phones, each reached both ways."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_agent.transports import over_streams, transport_to
from device_agent.transports.base import Transport, Way
from device_agent.transports.keys import machine_key
from tests.phones.adbd import AdbdPhone
from tests.phones.fake_phone import FakePhone
from tests.phones.fixtures import adb_server, adb_server_port  # noqa: F401

WAYS: tuple[Way, ...] = ("tcp", "adb-server")


@contextmanager
def impatient() -> Iterator[None]:
    """What cannot be reached is given up after 1 s; for connections that must fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(over_streams, "_USABLE_WITHIN_S", 1.0)
        yield


@dataclass
class Peer:
    """A phone that can be switched off and on."""

    address: str
    off: Callable[[], None]
    on: Callable[[], None]


@pytest.fixture(scope="session")
def _key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making a key takes half a second."""
    return machine_key(tmp_path_factory.mktemp("key"), Path("/nonexistent")).path


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, _key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(_key, tmp_path / "adbkey")


@pytest.fixture(params=["fake", "adbd"])
def peer(request: pytest.FixtureRequest) -> Peer:
    if request.param == "adbd":
        real: AdbdPhone = request.getfixturevalue("adbd_phone")
        return Peer(real.address, real.kill, real.start)
    fake: FakePhone = request.getfixturevalue("fake_phone")
    fake.files.capacity = 20 * 2**20
    return Peer(fake.address, fake.lose_power, fake.power_on)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    if request.param == "adb-server":
        request.getfixturevalue("adb_server")
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[str, Way], Transport]]:
    """Connects to an address; what was connected is closed after the test."""
    with ExitStack() as stack:

        def connected(address: str, way: Way) -> Transport:
            made = stack.enter_context(closing(transport_to(address, way, tmp_path)))
            made.reconnect()
            return made

        yield connected


@pytest.fixture
def transport(peer: Peer, way: Way, connect: Callable[[str, Way], Transport]) -> Transport:
    return connect(peer.address, way)
