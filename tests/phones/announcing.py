"""A fake phone's announcement of itself by mDNS, kept to this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from zeroconf import ServiceInfo, Zeroconf


@contextmanager
def announcing(name: str, port: int) -> Iterator[None]:
    """Says by mDNS where the phone is, and at the end that it is there no more.

    Args:
        name: with the service's, such as `adb-FAKE0000-a1B2c3._adb-tls-connect._tcp`.
        port: on 127.0.0.1.
    """
    own, _, service = name.partition(".")
    kind = f"{service}.local."
    said = ServiceInfo(
        kind,
        f"{own}.{kind}",
        addresses=[socket.inet_aton("127.0.0.1")],
        port=port,
        properties={"v": "ADB_SECURE_SERVICE_2"},
        server=f"{own}.local.",
    )
    with Zeroconf(interfaces=["127.0.0.1"]) as network:
        network.register_service(said)
        yield
