"""Snapshots kept on disk: immutable, so that a server need only say which one is the latest."""

from __future__ import annotations

import hashlib
import logging
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pydantic import ValidationError

from netspec.console.connection import cache_dir
from netspec.wire import Snapshot

#: a table of 100,000 entries has 35 MB of JSON
MOST_BYTES = 256 * 2**20
#: kept snapshots of one target that a server is told of, in one header
_TOLD = 8
_NAME = re.compile(r"^(?P<target>[0-9a-f]{16})-(?P<id>[0-9a-f]{64})\.snapshot$")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotCache:
    """A folder of snapshots, one file each, those used longest ago dropped first.

    A file is the SHA-256 of its rest, a line feed and the JSON. What does not fit its sum, or
    is no snapshot, is dropped and fetched again. Several processes may share a folder.
    """

    folder: Path = field(default_factory=lambda: cache_dir() / "snapshots")
    #: of all files together; 0: nothing is kept
    most_bytes: int = MOST_BYTES

    def known(self, target_id: str) -> tuple[str, ...]:
        """Ids of a target's snapshots, the one used last first."""
        found = [path for path in self._files() if path.name.startswith(f"{target_id}-")]
        return tuple(path.stem.split("-")[1] for path in reversed(found[-_TOLD:]))

    def read(self, snapshot_id: str) -> Snapshot | None:
        """A snapshot; None if it is not there, or no longer whole."""
        for path in self._files():
            if path.stem.endswith(f"-{snapshot_id}"):
                return self._read(path)
        return None

    def write(self, snapshot: Snapshot, document: bytes) -> None:
        """Keeps a snapshot, given as its JSON, too; only warns where nothing can be kept."""
        if len(document) > self.most_bytes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Renamed when it is whole: another process may read at any time.
            with TemporaryDirectory(dir=self.folder) as unfinished:
                whole = Path(unfinished) / "snapshot"
                whole.write_bytes(_sum(document) + b"\n" + document)
                whole.replace(self.folder / f"{snapshot.target_id}-{snapshot.id}.snapshot")
            self._make_room()
        except OSError as error:
            _log.warning("cannot keep snapshots in %s: %s", self.folder, error)

    def _read(self, path: Path) -> Snapshot | None:
        try:
            kept, _, document = path.read_bytes().partition(b"\n")
            if kept == _sum(document):
                found = Snapshot.model_validate_json(document)
                path.touch()
                return found
            why = "it was changed"
        except (OSError, ValidationError) as error:
            why = str(error)
        _log.warning("%s is not used: %s", path, why)
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None

    def _files(self) -> list[Path]:
        """The one used last is the last."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if _NAME.match(path.name)]
        return sorted(found, key=_status)

    def _make_room(self) -> None:
        sizes = {path: _status(path).bytes for path in self._files()}
        total = sum(sizes.values())
        for path, size in sizes.items():
            if total <= self.most_bytes:
                return
            total -= size
            path.unlink(missing_ok=True)


def _sum(document: bytes) -> bytes:
    return hashlib.sha256(document).hexdigest().encode()


class _Status(NamedTuple):
    used_ns: int
    bytes: int


def _status(path: Path) -> _Status:
    try:
        found = path.stat()
    except FileNotFoundError:  # another process made room
        return _Status(0, 0)
    return _Status(found.st_mtime_ns, found.st_size)
