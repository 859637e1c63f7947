"""What a disk or its owner refuses, as one line that says what to do."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from netspec.console.connection import CACHE_DIR_VARIABLE, DATA_DIR_VARIABLE, cache_dir, data_path
from netspec.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


def user_error(error: OSError) -> UserError | None:
    """Return the line for an error of storage that reached the top of a command.

    Returns:
        None if it is another error: a fault of ours, whose trace must be seen.
    """
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    if error.errno in _FULL:
        # A write that fails names no file.
        place = place or next(filter(_is_full, (data_path(), cache_dir(), Path.cwd())), None)
        where = f" for {place}" if place else ""
        return UserError(f"no space is left on the disk{where}; free some, {_advice(place)}")
    if error.errno in _REFUSED and place:
        return UserError(
            f"cannot use {place}: {error.strerror}{_owner(place)}; make it yours, {_advice(place)}"
        )
    return None


def obstacle(file: Path) -> str:
    """Return what keeps this user from writing a file, with advice; empty if nothing is seen."""
    folder = file.parent
    if not os.access(folder, os.F_OK):
        return f"there is no folder {folder}{_owner(folder)}; make it, {_advice(file)}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} cannot be written{_owner(folder)}; {_advice(file)}"
    if _is_full(folder):
        return f"no space is left on the disk of {folder}; free some, {_advice(file)}"
    return ""


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and os.statvfs(folder).f_bavail == 0


def _advice(place: Path | None) -> str:
    for folder, variable in (
        (data_path(), DATA_DIR_VARIABLE),
        (cache_dir(), CACHE_DIR_VARIABLE),
    ):
        if place and place.absolute().is_relative_to(folder.absolute()):
            return f"or name another folder with {variable}"
    return "or name another place"


def _owner(place: Path) -> str:
    """Return whose the nearest part of a path that is there is, if it is not this user's."""
    for part in (place, *place.parents):
        try:
            owner = part.stat().st_uid
        except OSError:
            continue
        if owner == os.geteuid():
            return ""
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = str(owner)
        return f" ({part} belongs to the user {name})"
    return ""
