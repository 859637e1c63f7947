"""Where the bytes of models lie: in the database, or in a folder; `s3` has the third place.

A store is written within the transaction that inserts the model's row, after the row: whoever
uploads or deletes the same file at the same time waits for that row.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from secrets import token_hex

from sqlalchemy.orm import Session

from netspec.errors import UserError
from profiler_server.kit.problems import Problem
from profiler_server.uploaded_models import repository


class ModelStore(ABC):
    """Bytes under the SHA-256 of their content."""

    @abstractmethod
    def put(self, session: Session, sha256: str, content: bytes) -> None:
        """Stores a file; one that is there is written anew."""

    @abstractmethod
    def get(self, session: Session, sha256: str) -> bytes | None:
        """A file's bytes; None: it is not here."""

    @abstractmethod
    def has(self, session: Session, sha256: str) -> bool:
        """Whether a file is here."""

    @abstractmethod
    def remove(self, session: Session, sha256: str) -> None:
        """Removes a file; one that is not here is none."""


class DatabaseStore(ModelStore):
    """Files in the rows of their models, so that every replica and every backup has them."""

    def put(self, session: Session, sha256: str, content: bytes) -> None:
        """Stores a file in its model's row."""
        repository.put_content(session, sha256, content)

    def get(self, session: Session, sha256: str) -> bytes | None:
        """A file's bytes."""
        return repository.content(session, sha256)

    def has(self, session: Session, sha256: str) -> bool:
        """Whether the row has them."""
        return repository.has_content(session, sha256)

    def remove(self, session: Session, sha256: str) -> None:
        """They go with the row."""


class FolderStore(ModelStore):
    """Files in a folder that every replica sees, such as an NFS mount; 256 folders in it.

    Args:
        folder: made if need be.

    Raises:
        UserError: it cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe-{token_hex(8)}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"the folder {folder} of PROFILER_MODEL_STORE cannot be written: {error.strerror}; "
                "name one that this user may write"
            ) from error

    def put(self, session: Session, sha256: str, content: bytes) -> None:
        """Stores a file; it is whole under its name, also after a power cut."""
        del session
        place = self._place(sha256)
        # Another process may write the same.
        partial = place.with_name(f"{place.name}.{token_hex(8)}")
        try:
            place.parent.mkdir(exist_ok=True)
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place)
            _sync(place.parent)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise Problem(
                "storage-full", f"the model store cannot be written: {error.strerror}; try later"
            ) from error

    def get(self, session: Session, sha256: str) -> bytes | None:
        """A file's bytes."""
        del session
        try:
            return self._place(sha256).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, session: Session, sha256: str) -> bool:
        """Whether there is such a file."""
        del session
        return self._place(sha256).is_file()

    def remove(self, session: Session, sha256: str) -> None:
        """Removes a file."""
        del session
        self._place(sha256).unlink(missing_ok=True)

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.tflite"


def _sync(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
