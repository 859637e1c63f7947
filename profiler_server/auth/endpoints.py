"""Endpoints of tokens. A token stands in the answer that makes or rotates it, and nowhere else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from netspec.wire import MadeToken, TokenInfo, TokenQuery, TokenRequest, TokenRotation
from profiler_server.auth import token_management
from profiler_server.auth.dependencies import Admin
from profiler_server.kit.dependencies import DatabaseDep, of_application
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep

router = APIRouter(prefix="/v1/tokens", tags=["tokens"], route_class=Route)

ServerKeyDep = Annotated[bytes, of_application("server_key")]
#: nobody may keep an answer that has a token in it
_NEVER_KEPT = "no-store"


@router.post("", status_code=201)
def create_token(
    request: TokenRequest, response: Response, database: DatabaseDep, key: ServerKeyDep, who: Admin
) -> MadeToken:
    """Makes a token, which is shown this once; it is no stronger than the one that makes it."""
    response.headers["Cache-Control"] = _NEVER_KEPT
    with database.write() as session:
        return token_management.make(session, key, request, who)


@router.get("")
def list_tokens(
    query: Annotated[TokenQuery, Query()], database: DatabaseDep, paging: PagingDep, _: Admin
) -> list[TokenInfo]:
    """Tokens, oldest first, those that have ended too; they themselves are not kept."""
    with database.read() as session:
        return paging.answer(token_management.page(session, query))


@router.get("/{token_id}")
def get_token(token_id: str, database: DatabaseDep, _: Admin) -> TokenInfo:
    """What is known of one token."""
    with database.read() as session:
        return token_management.get(session, token_id)


@router.post("/{token_id}:rotate")
def rotate_token(
    token_id: str,
    rotation: TokenRotation,
    response: Response,
    database: DatabaseDep,
    key: ServerKeyDep,
    who: Admin,
) -> MadeToken:
    """Gives a token another secret, shown this once; the one before is taken for a while."""
    response.headers["Cache-Control"] = _NEVER_KEPT
    with database.write() as session:
        return token_management.rotate(session, key, token_id, rotation, who)


@router.post("/{token_id}:revoke")
def revoke_token(token_id: str, database: DatabaseDep, _: Admin) -> TokenInfo:
    """Revokes a token; servers stop taking it within 5 seconds."""
    with database.write() as session:
        return token_management.revoke(session, token_id)
