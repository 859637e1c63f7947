"""Disks and rights of a process's own, for what was forked and has one thread yet."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

_NEW_USERS, _NEW_MOUNTS = 0x10000000, 0x00020000


def why_none(*options: str) -> str:
    """Why no command can have a namespace by these options of `unshare`; empty if it can."""
    program = shutil.which("unshare")
    if program is None:
        return "there is no `unshare`"
    made = subprocess.run([program, *options, "true"], capture_output=True, text=True, check=False)
    return made.stderr.strip() if made.returncode else ""


def leave_rights() -> None:
    """Be root of a namespace, without a right to files of users whom that does not know.

    Raises:
        OSError: the system allows no namespaces.
    """
    _unshare(_NEW_USERS)


def mount(commands: str) -> None:
    """Run shell commands that mount what this process alone shall see.

    Raises:
        OSError: the system allows no namespaces.
        CalledProcessError: the commands failed.
    """
    _unshare(_NEW_USERS | _NEW_MOUNTS)
    subprocess.run(["sh", "-c", commands], check=True)


def _unshare(flags: int) -> None:
    users, groups = os.geteuid(), os.getegid()
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"0 {users} 1")
    (own / "gid_map").write_text(f"0 {groups} 1")
