"""Storing `.tflite` files, and test images for them, under their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.images import BadImages, unpack
from netspec.wire import MODEL_IDENTIFIER, ModelQuery, Owner, StoredModel
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page
from profiler_server.uploaded_models import repository
from profiler_server.uploaded_models.places import model_store
from profiler_server.uploaded_models.rows import FileKind, ModelRow
from profiler_server.uploaded_models.stores import ModelStore

_MB = 2**20
_DELETE = "delete some with DELETE /v1/models/SHA256 or DELETE /v1/images/SHA256"


@dataclass(frozen=True)
class UploadedModels:
    """The files of one server: where their bytes lie, and how many a token may store."""

    store: ModelStore
    #: of one token; 0: any number
    most: int
    #: of one token's files together, MiB; 0: any
    most_mb: int

    @classmethod
    def of(cls, settings: Settings) -> UploadedModels:
        """The models as the settings have them.

        Raises:
            UserError: the model store cannot be used.
        """
        return cls(
            model_store(settings.model_store),
            settings.models_per_token,
            settings.models_mb_per_token,
        )

    def put(
        self, session: Session, sha256: str, content: bytes, kind: FileKind, token_id: str
    ) -> bool:
        """Stores a file; False if it was there.

        Args:
            session: a writing transaction.
            sha256: of the file, as the client says.
            content: the file.
            kind: what it must be.
            token_id: whose it is, unless another token has uploaded it before.

        Raises:
            Problem: `hash-mismatch`, `not-a-model`, `not-images`, `too-many-models` or
                `models-too-large`.
        """
        _check(sha256, content, kind)
        if repository.keep(session, [sha256], kind):
            # Somebody may have lost the folder.
            if not self._has(session, sha256):
                self.store.put(session, sha256, content)
            return False
        self._take_room(session, token_id, len(content))
        now = database_now(session)
        if not repository.add(session, sha256, len(content), kind, token_id, now):
            # Somebody was faster; that one has waited for nobody, and has stored it.
            return False
        self.store.put(session, sha256, content)
        return True

    def get(self, session: Session, sha256: str, kind: FileKind) -> bytes:
        """A stored file.

        Raises:
            Problem: `unknown-model` or `unknown-images`.
        """
        require(session, [sha256], kind)
        # Models stay where they were when the settings name another store.
        content = repository.content(session, sha256)
        if content is None:
            content = self.store.get(session, sha256)
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            raise unknown([sha256], kind)
        return content

    def remove(self, session: Session, sha256: str) -> None:
        """Removes a file and its row, which the transaction has locked."""
        repository.remove(session, sha256)
        self.store.remove(session, sha256)

    def _has(self, session: Session, sha256: str) -> bool:
        return repository.has_content(session, sha256) or self.store.has(session, sha256)

    def _take_room(self, session: Session, token_id: str, size: int) -> None:
        stored = repository.stored_by(session, token_id)
        if self.most and stored.files >= self.most:
            raise Problem(
                "too-many-models",
                f"the token has uploaded {stored.files} files, at most {self.most} are allowed "
                f"(PROFILER_MODELS_PER_TOKEN); {_DELETE}",
            )
        if self.most_mb and stored.size + size > self.most_mb * _MB:
            raise Problem(
                "models-too-large",
                f"the token's files have {stored.size / _MB:.1f} MiB, with this one "
                f"{(stored.size + size) / _MB:.1f}, at most {self.most_mb} are allowed "
                f"(PROFILER_MODELS_MB_PER_TOKEN); {_DELETE}",
            )


def _check(sha256: str, content: bytes, kind: FileKind) -> None:
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise Problem(
            "hash-mismatch",
            f"the address says {sha256}, the {len(content)} bytes received have {actual}; "
            "send the whole file to its own hash (lower-case hex)",
        )
    if kind == FileKind.IMAGES:
        try:
            unpack(content)
        except BadImages as error:
            raise Problem("not-images", str(error)) from error
    elif content[4:8] != MODEL_IDENTIFIER:
        raise Problem(
            "not-a-model",
            f"expected the identifier {MODEL_IDENTIFIER.decode()} at bytes 4 to 8 of a .tflite "
            f"file, got {content[4:8]!r}",
        )


def require(session: Session, hashes: Collection[str], kind: FileKind) -> None:
    """Checks that the files are stored.

    Raises:
        Problem: `unknown-model` or `unknown-images`, naming every one that is missing.
    """
    if missing := sorted(set(hashes) - repository.known(session, hashes, kind)):
        raise unknown(missing, kind)


def keep(session: Session, hashes: Collection[str], kind: FileKind) -> None:
    """Like `require`; none of the files is deleted before the writing transaction ends.

    Raises:
        Problem: `unknown-model` or `unknown-images`, naming every one that is missing.
    """
    if missing := sorted(set(hashes) - repository.keep(session, hashes, kind)):
        raise unknown(missing, kind)


def unknown(hashes: Collection[str], kind: FileKind) -> Problem:
    """The problem with files that are not stored."""
    name, path = _NAMES[kind]
    return Problem(name, f"not uploaded: {', '.join(hashes)}; send the file with PUT {path}")


#: of each kind, the problem with a file that is not there, and its address
_NAMES = {
    FileKind.MODEL: ("unknown-model", "/v1/models/SHA256"),
    FileKind.IMAGES: ("unknown-images", "/v1/images/SHA256"),
}


def page(session: Session, query: ModelQuery, kind: FileKind) -> Page[StoredModel]:
    """The files that a query asks for, by default the newest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    found = repository.page(session, query, kind)
    return found.with_items([_to_wire(row, name) for row, name in found.items])


def _to_wire(row: ModelRow, name: str | None) -> StoredModel:
    owner = None
    if row.token_id is not None:
        owner = Owner(token_id=row.token_id, name=name or "")
    return StoredModel(sha256=row.sha256, size=row.size, created_at=row.created_at, owner=owner)
