"""What endpoints whose requests may be repeated ask for, and how they answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Response

from profiler_server.idempotency.service import Answer

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Chosen by the client: the same request again under the same key and token "
        "gets the same answer, and is not acted upon again. Kept for 24 hours.",
    ),
]


def answered(answer: Answer, *, status: int) -> Response:
    """The answer; `Idempotency-Replayed` says that it was given before."""
    headers = {"Idempotency-Replayed": "true"} if answer.repeated else {}
    return Response(answer.document, status, headers, media_type="application/json")
