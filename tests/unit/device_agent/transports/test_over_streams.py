from pathlib import PurePosixPath

import pytest

from device_agent.errors import TransportLost
from device_agent.transports.base import Way
from device_agent.transports.over_streams import StreamTransport
from device_agent.transports.streams import Deadline, ServiceRefused
from tests.unit.device_agent.transports.scripted import ScriptedStream

FILE = PurePosixPath("/data/local/tmp/file")


class Closing:
    """A way that echoes once; then every service is refused, as while the phone goes away."""

    serial = "R58"
    way: Way = "adb-server"

    def __init__(self) -> None:
        self._answers = [b"\x01\x03\x00\x00\x00ok\n\x03\x01\x00\x00\x00\x00"]

    def connect(self, deadline: Deadline) -> None:
        assert deadline.remaining_s() > 0

    def open(self, service: str, deadline: Deadline) -> ScriptedStream:
        if not self._answers:
            raise ServiceRefused(service)
        assert deadline.remaining_s() > 0
        return ScriptedStream([self._answers.pop()])

    def close(self) -> None:
        """Nothing is kept."""


@pytest.fixture
def transport() -> StreamTransport:
    made = StreamTransport(Closing())
    made.reconnect()
    return made


def test_a_phone_that_refuses_what_every_phone_offers_is_lost(transport: StreamTransport) -> None:
    with pytest.raises(TransportLost, match="R58 refuses the service `shell:"):
        transport.shell("echo on", timeout_s=1)
    with pytest.raises(TransportLost, match="is not connected"):
        transport.shell("echo on", timeout_s=1)


def test_nor_do_its_files_end_in_another_error(transport: StreamTransport) -> None:
    with pytest.raises(TransportLost, match="R58 refuses the service `sync:`"):
        transport.pull(FILE, timeout_s=1)
