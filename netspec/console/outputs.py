"""Files and folders that a person named for what a command writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.errors import UserError


def make_folder(folder: Path) -> None:
    """Makes a folder, with those above it; to be called before the work whose result goes there.

    Raises:
        UserError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be made: {error.strerror}; name another one"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"nothing can be written into the folder {folder}; name another one")


def write_file(path: Path, content: str | bytes) -> None:
    """Writes a file, and makes the folders above it.

    Raises:
        UserError: it cannot be written.
    """
    make_folder(path.parent)
    try:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; name another file") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file to write, which takes another one's name at the end of the block.

    Who reads sees the former file or this one, whole, also after a crash. Where the block fails,
    as on a full disk, the former file stays, and nothing beside it.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
