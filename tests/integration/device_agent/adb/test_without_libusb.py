"""The agent's commands on a machine that has no libusb, neither the system's nor a package's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from device_agent.transports.adb_server import PORT_VARIABLE
from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE
from tests.acceptance.commands import run_installed

SENTENCE = "phones at USB need libusb: `pip install libusb-package`"

#: Python's start-up hook. The loader answers as it does where there is no such library.
NO_LIBUSB = """
import ctypes, ctypes.util, sys
sys.modules["libusb_package"] = None

class CDLL(ctypes.CDLL):
    def __init__(self, name, *arguments, **options):
        if name and "libusb" in str(name):
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        super().__init__(name, *arguments, **options)

find_library = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if "usb" in name else find_library(name)
ctypes.CDLL = CDLL
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds no libusb, no adb server and no profiler."""
    (tmp_path / "sitecustomize.py").write_text(NO_LIBUSB, encoding="utf-8")
    return {
        "PYTHONPATH": str(tmp_path),
        DATA_DIR_VARIABLE: str(tmp_path),
        TOKEN_VARIABLE: "token",
        PORT_VARIABLE: "1",
    }


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the error line of a command that ended with exit code 2 and no traceback."""
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stderr.splitlines()[-1]


def test_this_machine_is_shown_and_usb_is_a_note(bare: dict[str, str]) -> None:
    ended = run_installed("device-agent", "devices", "--json", **bare)
    assert ended.returncode == 0, ended
    devices = json.loads(ended.stdout)
    assert devices["host"]
    assert any(f"USB is not looked at: {SENTENCE}" in note for note in devices["notes"])


def test_phones_over_tcp_are_listed_all_the_same(bare: dict[str, str]) -> None:
    ended = run_installed("device-agent", "devices", "--json", "--phone", "127.0.0.1:1", **bare)
    assert ended.returncode == 0, ended
    (phone,) = json.loads(ended.stdout)["phones"]
    assert phone["serial"] == "127.0.0.1:1"
    assert "libusb" not in phone["problem"]


def test_a_phone_at_usb_is_refused_in_a_line(bare: dict[str, str]) -> None:
    for arguments in (("doctor", "R58M12345AB"), ("run", "--phone", "R58M12345AB")):
        assert SENTENCE in refusal(run_installed("device-agent", *arguments, **bare))


def test_an_agent_for_all_phones_says_that_it_cannot_see_those_at_usb(
    bare: dict[str, str],
) -> None:
    ended = run_installed("device-agent", "run", "--phone", "all", "--until-idle", **bare)
    assert "no phone to measure on is plugged in" in refusal(ended)
    assert SENTENCE in ended.stderr
