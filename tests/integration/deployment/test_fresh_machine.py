"""`scripts/fresh-machine` refuses in a line what it cannot do; what it does, `.ci/run` shows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "fresh-machine"
NOBODY = 65_534


def refusal(*arguments: str, user: int | None = None) -> str:
    """Return the one line of a call that must end with exit code 2."""
    # From standard input: another user may not be able to look into this folder.
    with SCRIPT.open("rb") as script:
        ended = subprocess.run(
            ["bash", "-s", "--", *arguments],
            stdin=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            user=user,
            cwd="/",
        )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


def test_without_a_command() -> None:
    assert "name a command" in refusal()
    assert "--suite names a Debian release" in refusal("--suite")


def test_without_root() -> None:
    line = refusal("true", user=NOBODY if os.getuid() == 0 else None)
    assert line == "error: a fresh machine is a chroot, which root alone can make; run it with sudo"
