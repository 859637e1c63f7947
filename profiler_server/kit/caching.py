"""Conditional requests: RFC 9110, section 13."""

from __future__ import annotations

from fastapi import Request

#: for what is addressed by the hash of its content; only with the token, so not shared
IMMUTABLE = "private, max-age=31536000, immutable"
#: for what may be kept, but must be asked for again
REVALIDATE = "private, no-cache"


def etag(content_id: str) -> str:
    """The strong ETag of a content hash."""
    return f'"{content_id}"'


def is_current(request: Request, content_id: str) -> bool:
    """Whether the client's `If-None-Match` names this content."""
    header = request.headers.get("If-None-Match")
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag(content_id) in tags
