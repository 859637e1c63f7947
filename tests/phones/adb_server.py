"""An adb server of the tests' own, on a port of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from adbutils import AdbError, adb_path

from tests.phones.debian_adbd import CannotHave
from tests.phones.ports import free_port, listens

_START_TIMEOUT_S = 20.0


def adb_program() -> Path:
    """The `adb` of this machine, else the one in adbutils' wheel.

    Raises:
        CannotHave: there is none for this platform.
    """
    try:
        return Path(adb_path())
    except AdbError as error:
        raise CannotHave(f"no adb server: {error}") from error


def bundled_adb() -> Path:
    """The `adb` in adbutils' wheel: Google's own build.

    Raises:
        CannotHave: the wheel for this platform has none.
    """
    found = Path(str(resources.files("adbutils"))) / "binaries" / "adb"
    if not found.exists():
        raise CannotHave("adbutils carries no adb for this platform")
    return found


@contextmanager
def running_server(
    folder: Path, program: Path | None = None, *, hears_mdns: bool = False
) -> Iterator[int]:
    """Runs a server; its port. It keeps its key in the folder, and connects to no phone by itself.

    Raises:
        CannotHave: there is no adb for this platform, or it does not start.
    """
    port = free_port()
    quiet = {"HOME": str(folder), "ADB_MDNS_AUTO_CONNECT": "0"}
    quiet["ADB_MDNS_OPENSCREEN"] = str(int(hears_mdns))
    with (folder / "adb-server.log").open("wb") as log:
        server = subprocess.Popen(
            [program or adb_program(), "-P", str(port), "nodaemon", "server"],
            env=os.environ | quiet,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                said = (folder / "adb-server.log").read_text(errors="replace")
                raise CannotHave(f"no adb server: {said[-300:]}")
            time.sleep(0.02)
        yield port
    finally:
        server.kill()
        server.wait()
