"""A run's folder belongs to one process at a time, and keeps what it holds unless asked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.errors import UserError
from search_client.runs.record import RECORD

LOCK = "run.lock"


class FolderInUse(UserError):
    """Another process runs in the folder, or another run's results are in it."""


@contextmanager
def claimed(folder: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold a run's folder for this process; the system lets go of it when the process ends.

    Args:
        folder: made if it is not there.
        resume: the run goes on with what the folder holds.
        overwrite: what the folder holds may be replaced.

    Raises:
        FolderInUse: another process holds the folder, or a run is in it that was neither to be
            resumed nor to be overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise FolderInUse(
                f"process {file.read().strip() or 'unknown'} runs in {folder}; wait for its end, "
                "or give another --run folder"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        if (folder / RECORD).exists() and not (resume or overwrite):
            raise FolderInUse(
                f"{folder} holds a run already: --resume goes on with it, --overwrite replaces it, "
                "and another --run folder keeps it"
            )
        yield
