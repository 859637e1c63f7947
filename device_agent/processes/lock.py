"""One process a device."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device_agent.errors import AgentAlreadyRuns


def file_name(serial: str) -> str:
    """A device's name as a part of a file's: addresses have colons."""
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in serial)


@contextmanager
def device_lock(folder: Path, serial: str) -> Iterator[None]:
    """Holds a device for this process; the system lets go of it when the process ends.

    Raises:
        AgentAlreadyRuns: another agent holds it.
    """
    with _held(folder / f"agent-{serial}.lock", serial):
        yield


@contextmanager
def phone_lock(folder: Path, number: str) -> Iterator[None]:
    """Holds a phone or board by its own serial number, whatever name it is reached by.

    Args:
        folder: of the locks.
        number: empty where the device has none: it is held by its name alone.

    Raises:
        AgentAlreadyRuns: another agent holds it.
    """
    if number:
        with _held(folder / f"agent-phone-{file_name(number)}.lock", number):
            yield
    else:
        yield


@contextmanager
def _held(path: Path, name: str) -> Iterator[None]:
    """Holds a file, which names the process that does.

    Args:
        path: of the file.
        name: of the device, for messages.
    """
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise AgentAlreadyRuns(
                f"another agent (process {holder}) measures on {name}; stop it first, since two "
                "would disturb each other's measurements"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
