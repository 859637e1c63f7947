"""A real adb daemon, Debian's `adbd`, in a chroot that looks like a phone.

In a conftest.py: `from tests.phones.fixtures import adbd_folder, adbd_phone  # noqa: F401`. Then

    def test_it(adbd_phone: AdbdPhone, tmp_path: Path) -> None:
        transport = transport_to(adbd_phone.address, "tcp", tmp_path)
        transport.reconnect()

`phone.root` is the phone's root folder: put programs into `phone.root / "data/local/tmp"`. The
machine's /usr, /lib and /bin are there too, so a native program of this machine runs on the phone.
`phone.state` (`state.PhoneState`) is what it says of itself: change it and call `refresh()`.
`kill()` and `start()` are a crash and a boot. What it needs: `debian_adbd.py`.
The shell is dash with the machine's own tools: `id -u` says 0, so this phone is rooted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from tests.chroots import ChrootDaemon
from tests.phones.commands import SCRIPTS, script
from tests.phones.state import PhoneState

_HERE = Path(__file__).parent
_ENVIRONMENT = (
    "LD_LIBRARY_PATH=/adbd",
    "LD_PRELOAD=/adbd/loopback.so",
    "PATH=/system/bin:/usr/bin:/bin",
)


class AdbdPhone:
    """A phone; entering boots it, leaving ends all its processes.

    Args:
        programs: from `debian_adbd.adbd_programs`.
        folder: to be made; of its own.
        state: what it is, by default a healthy phone with this machine's ABI and cores.
    """

    def __init__(self, programs: Path, folder: Path, state: PhoneState | None = None) -> None:
        self._programs = programs
        self.root = folder
        self.state = state or machine_state()
        self._daemon = ChrootDaemon(folder)
        self.port = self._daemon.port
        self._furnish()

    @property
    def address(self) -> str:
        """`HOST:PORT` for transports."""
        return f"127.0.0.1:{self.port}"

    def refresh(self) -> None:
        """Makes the phone say what `state` is now."""
        _rewrite(self.root / "phone/properties", self.state.properties())
        services = ("thermalservice", "battery", "power")
        said = {service: self.state.dumpsys(service) for service in services}
        _rewrite(self.root / "phone/dumpsys", {key: text for key, text in said.items() if text})
        for (space, key), value in self.state.settings.items():
            _rewrite(self.root / "phone/settings" / space, {key: value})
        for path, text in self.state.files().items():
            _write(self.root / path.lstrip("/"), text)

    def start(self) -> None:
        """Boots it.

        Raises:
            CannotStart: adbd does not start here.
        """
        self._daemon.start(
            *("sh", _HERE / "enter_phone.sh", self.root, self._programs),
            *("/usr/bin/env", "-i", f"ADBD_PORT={self.port}", *_ENVIRONMENT, "/adbd/adbd"),
        )

    def kill(self) -> None:
        """Ends all its processes at once, as a phone does whose battery is taken out."""
        self._daemon.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _furnish(self) -> None:
        for name in ("data/local/tmp", "phone", "system/bin", "tmp"):
            (self.root / name).mkdir(parents=True)
        for name in SCRIPTS:
            path = self.root / "system/bin" / name
            _write(path, script(name))
            path.chmod(0o755)
        (self.root / "system/bin/sh").symlink_to("/bin/sh")
        _write(self.root / "phone/fixed_performance", "false\n")
        self.refresh()


def machine_state() -> PhoneState:
    """A healthy phone whose ABI and cores are this machine's, so that its programs run."""
    last = (os.cpu_count() or 1) - 1
    little = ((tuple(range(last)), 1_800_000),) if last else ()
    return PhoneState(abi=os.uname().machine, clusters=(*little, ((last,), 2_800_000)))


def _rewrite(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        _write(folder / name, text if text.endswith("\n") else f"{text}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
