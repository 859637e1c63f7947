"""SQL of uploaded files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import ModelQuery
from profiler_server.auth.repository import owned_by
from profiler_server.auth.rows import TokenRow
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.kit.sql.lists import Listing, since, until
from profiler_server.kit.sql.many_values import is_in
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import not_about_targets
from profiler_server.uploaded_models.rows import FileKind, ModelRow


@dataclass(frozen=True)
class Stored:
    """What a token has stored."""

    files: int
    #: of all of them together
    size: int


def known(session: Session, hashes: Collection[str], kind: FileKind) -> set[str]:
    """Those of the hashes that are stored as files of the kind."""
    return set(session.scalars(_of_kind(session, hashes, kind)))


def keep(session: Session, hashes: Collection[str], kind: FileKind) -> set[str]:
    """Like `known`; none of the files is deleted before the transaction ends."""
    # Shared: any number of jobs may ask for a file at once.
    these = _of_kind(session, hashes, kind).order_by(ModelRow.sha256)
    return set(session.scalars(these.with_for_update(read=True, key_share=True)))


def _of_kind(session: Session, hashes: Collection[str], kind: FileKind) -> Select[str]:
    is_one = is_in(session, ModelRow.sha256, hashes)
    return select(ModelRow.sha256).where(is_one, ModelRow.kind == kind)


def lock(session: Session, sha256: str, kind: FileKind) -> ModelRow | None:
    """A file, kept from all who would use it until the transaction ends."""
    one = select(ModelRow).where(ModelRow.sha256 == sha256, ModelRow.kind == kind)
    return session.scalar(one.with_for_update())


def add(
    session: Session, sha256: str, size: int, kind: FileKind, token_id: str | None, now: datetime
) -> bool:
    """Inserts a file without its bytes; False if it is there."""
    row = {
        "sha256": sha256,
        "created_at": now,
        "token_id": token_id,
        "size": size,
        "kind": kind,
    }
    return insert_absent(session, ModelRow, [row]) == 1


def remove(session: Session, sha256: str) -> None:
    """Deletes a file's row."""
    session.execute(delete(ModelRow).where(ModelRow.sha256 == sha256))


def stored_by(session: Session, token_id: str) -> Stored:
    """What the token has stored; no other upload of its own is counted at the same time."""
    session.execute(select(TokenRow.id).where(TokenRow.id == token_id).with_for_update())
    files, size = session.execute(
        select(func.count(), func.coalesce(func.sum(ModelRow.size), 0)).where(
            ModelRow.token_id == token_id
        )
    ).one()
    return Stored(files, int(size))


def content(session: Session, sha256: str) -> bytes | None:
    """The bytes that the database has of a file; None: none."""
    return session.scalar(select(ModelRow.content).where(ModelRow.sha256 == sha256))


def has_content(session: Session, sha256: str) -> bool:
    """Whether the database has the bytes of a file."""
    found = session.scalar(select(ModelRow.content.is_not(None)).where(ModelRow.sha256 == sha256))
    return bool(found)


def put_content(session: Session, sha256: str, content: bytes) -> None:
    """Keeps the bytes of a file that is known in the database."""
    session.execute(update(ModelRow).where(ModelRow.sha256 == sha256).values(content=content))


def page(session: Session, query: ModelQuery, kind: FileKind) -> Page[tuple[ModelRow, str | None]]:
    """The files that a query asks for, without their bytes, with the names of their tokens."""
    rows = select(ModelRow, TokenRow.name).outerjoin(TokenRow, TokenRow.id == ModelRow.token_id)
    rows = rows.where(ModelRow.kind == kind)
    found = _MODELS.page(session, rows, query)
    return found.with_items([(row[0], row[1]) for row in found.items])


_MODELS = Listing(
    ModelQuery,
    {
        "owner": owned_by(ModelRow.token_id),
        "since": since(ModelRow.created_at),
        "until": until(ModelRow.created_at),
    },
    {
        "created_at": (ModelRow.created_at, ModelRow.sha256),
        "size": (ModelRow.size, ModelRow.sha256),
    },
    not_about_targets,
)
