"""Ports of 127.0.0.1 for daemons that cannot choose one by themselves."""

from __future__ import annotations

import os
import socket

#: adb servers take ports 5555 to 5585 for emulators, and connect to them by themselves
_FIRST_PORT, _LAST_PORT = 6000, 9000


class NoFreePort(Exception):
    """Every port that could be taken is."""


def free_port() -> int:
    """A port that nobody listens at."""
    start = _FIRST_PORT + os.getpid() % 2000
    for port in range(start, _LAST_PORT):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NoFreePort(f"no port from {start} to {_LAST_PORT} is free")


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
