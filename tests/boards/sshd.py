"""A real SSH server, OpenSSH's `sshd`, in a chroot that looks like a Raspberry Pi.

In a conftest.py: `from tests.boards.fixtures import board  # noqa: F401`. Then

    def test_it(board: Board) -> None:
        transport = transport_to(board.address, "ssh", Path())
        transport.reconnect()

`board.root` is the board's root folder; the machine's /usr, /lib and /bin are there too, so a
native program of this machine runs on the board. `kill()` and `start()` are a crash and a boot,
after which the kernel says another boot id. The board has a user `pi`, who may log in with the key
of `home`, the folder of the user of this machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

from tests.chroots import ChrootDaemon

_HERE = Path(__file__).parent
USER, _UID = "pi", 1000
_CPU = "/sys/devices/system/cpu"
_TREE = "/sys/firmware/devicetree/base"


class CannotHave(Exception):
    """A real SSH server cannot be had here; the text says why."""


def sshd_program() -> str:
    """Where `sshd` is.

    Raises:
        CannotHave: it is not installed, or may not be started as a board needs it.
    """
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise CannotHave("no sshd is installed (Debian's openssh-server)")
    if os.geteuid() != 0:
        raise CannotHave("sshd changes to the user who logs in, which only root may")
    try:
        subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "true"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotHave(f"namespaces of one's own cannot be had here ({error})") from error
    return found


class Board:
    """A board; entering boots it, leaving ends all its processes.

    Args:
        program: `sshd`.
        folder: to be made; of its own.
        home: of the user of this machine; its `.ssh` gets a key, and a file of known hosts.
    """

    def __init__(self, program: str, folder: Path, home: Path) -> None:
        self._program = program
        self.root = folder
        self.home = home
        self._daemon = ChrootDaemon(folder)
        self.port = self._daemon.port
        self._furnish()

    @property
    def address(self) -> str:
        """`USER@HOST:PORT` for transports."""
        return f"{USER}@127.0.0.1:{self.port}"

    @property
    def files(self) -> Path:
        """The agent's files on it."""
        return self.root / f"home/{USER}/.cache/proxyless-farm"

    def write(self, path: str, text: str) -> None:
        """Makes a file of the board say something; a file of the system's ends with a newline."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def new_host_key(self) -> None:
        """Makes the board another one for SSH, after the next start."""
        key = self.root / "etc/host_key"
        key.unlink(missing_ok=True)
        _make_key(key)

    def trust(self) -> None:
        """Enters the board's host key into the user's known hosts."""
        kind, key, *_ = (self.root / "etc/host_key.pub").read_text().split()
        file, name = self.home / ".ssh/known_hosts", f"[127.0.0.1]:{self.port} "
        known = file.read_text().splitlines(keepends=True) if file.exists() else []
        others = [line for line in known if not line.startswith(name)]
        file.write_text("".join([*others, f"{name}{kind} {key}\n"]))

    def allow(self, key: str, user: str = USER) -> None:
        """Lets the owner of a public key log in as a user, and nobody else."""
        folder = self.root / "home" / ("admin" if user == "root" else user) / ".ssh"
        folder.mkdir(exist_ok=True)
        (folder / "authorized_keys").write_text(key)

    def configure(self, text: str) -> None:
        """Adds to the configuration of sshd, from the next start on."""
        with (self.root / "etc/sshd_config").open("a") as file:
            file.write(text)

    def start(self) -> None:
        """Boots it.

        Raises:
            CannotStart: sshd does not start here.
        """
        self.write("/etc/boot_id", f"{uuid4()}\n")
        self._daemon.start(
            *("sh", _HERE / "enter_board.sh", self.root),
            *("/usr/bin/env", "-i", "PATH=/usr/bin:/bin", self._program),
            *("-D", "-e", "-f", "/etc/sshd_config"),
        )

    def kill(self) -> None:
        """Ends all its processes at once, as when its power fails."""
        self._daemon.kill()

    def cut(self) -> None:
        """Ends its connections, not what was started through them."""
        for pid in _descendants(self._daemon.pid):
            # Commands come and go meanwhile.
            with suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sshd: pi"):
                    os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _furnish(self) -> None:
        for name in ("etc", "proc", "small", "tmp", "run/sshd", "home/admin", f"home/{USER}"):
            (self.root / name).mkdir(parents=True)
        os.chown(self.root / f"home/{USER}", _UID, _UID)
        nobody = "/nonexistent:/usr/sbin/nologin"
        self.write(
            "/etc/passwd",
            f"root:*:0:0::/home/admin:/bin/sh\nsshd:*:101:65534::{nobody}\n"
            f"{USER}:*:{_UID}:{_UID}::/home/{USER}:/bin/bash\n",
        )
        self.write("/etc/group", f"root:x:0:\nnogroup:x:65534:\n{USER}:x:{_UID}:\n")
        self.write("/etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Raspberry Pi OS (test)"\n')
        self.write("/etc/machine-id", "0f3a9c5e7d1b4826a05c9e7f3b2d1846\n")
        self.write(f"{_TREE}/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        self.write(f"{_TREE}/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0")
        self.write(f"{_TREE}/serial-number", "10000000f00dbeef\0")
        for path, text in _machine_files().items():
            self.write(path, f"{text}\n")
        _make_key(self.root / "etc/host_key")
        self.write(
            "/etc/sshd_config",
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey /etc/host_key\nUsePAM no\n"
            "StrictModes no\nPidFile none\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nMaxStartups 100\n",
        )
        (self.home / ".ssh").mkdir(parents=True, mode=0o700, exist_ok=True)
        if not (self.home / ".ssh/id_ed25519").exists():
            _make_key(self.home / ".ssh/id_ed25519")
        self.allow((self.home / ".ssh/id_ed25519.pub").read_text())
        self.trust()


def _machine_files() -> dict[str, str]:
    """Clocks and temperatures; as many cores as this machine has, so that its programs run."""
    last = (os.cpu_count() or 1) - 1
    span = f"0-{last}" if last else "0"
    files = {f"{_CPU}/{name}": span for name in ("possible", "present", "online")}
    for core in range(last + 1):
        clock = f"{_CPU}/cpu{core}/cpufreq"
        files |= {
            f"{clock}/cpuinfo_max_freq": "1800000",
            f"{clock}/scaling_max_freq": "1800000",
            f"{clock}/scaling_min_freq": "600000",
            f"{clock}/scaling_cur_freq": "1800000",
            f"{clock}/scaling_governor": "ondemand",
            f"{_CPU}/cpu{core}/cpu_capacity": "1024",
        }
    zone, cooling = "/sys/class/thermal/thermal_zone0", "/sys/class/thermal/cooling_device0"
    return files | {
        f"{zone}/type": "cpu-thermal",
        f"{zone}/temp": "48200",
        f"{cooling}/type": "cpufreq-cpu0",
        f"{cooling}/cur_state": "0",
    }


def _make_key(path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True
    )


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return [*children, *(other for child in children for other in _descendants(child))]
