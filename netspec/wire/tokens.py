"""Tokens: made, rotated and revoked over HTTP; a token itself stands in one answer alone."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from netspec.protocol import Text
from netspec.wire.devices import Labels
from netspec.wire.message import ListQuery, Message, Moment

#: what a token allows; the server's `Scope` says what each means
TokenScope = Literal["tables:read", "jobs:write", "agent", "admin"]


class TokenRequest(Message):
    """A token to make. It can do no more, and is valid no longer, than the one that makes it."""

    #: for people: whose it is
    name: Text
    scopes: Annotated[tuple[TokenScope, ...], Field(min_length=1, max_length=4)]
    #: valid for so many days; None: as long as the token that makes it
    days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    #: of the devices and targets that it is limited to, all of them; none: it sees everything
    labels: Labels = Field(default_factory=dict)

    @model_validator(mode="after")
    def _refuse_limited_admin(self) -> Self:
        if self.labels and "admin" in self.scopes:
            raise ValueError("a token with the scope admin sees everything; leave out its labels")
        return self


class TokenRotation(Message):
    """Gives a token another secret. Id, name, scopes, devices and jobs stay the token's."""

    #: for so long (s) the secret of before is taken, too; one from before that ends now
    overlap_s: Annotated[float, Field(ge=0, le=90 * 86_400)] = 86_400.0


class TokenInfo(Message):
    """What is known of a token; the token itself is not kept."""

    id: Text
    name: str
    scopes: tuple[TokenScope, ...]
    #: of the devices and targets that it is limited to; none: it sees everything
    labels: Labels = Field(default_factory=dict)
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    #: to the minute
    last_used_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    #: until when the secret of before its last rotation is taken, too
    previous_until: AwareDatetime | None = None
    #: id of the token that has made it; None: a command beside the database
    made_by: Text | None = None


class MadeToken(Message):
    """A token that was made or rotated: the only answer that it stands in."""

    token: str
    info: TokenInfo


class TokenQuery(ListQuery):
    """Which tokens, and in which order."""

    state: Annotated[
        tuple[Literal["valid", "expired", "revoked"], ...],
        Field(max_length=3, description="Whether servers take it; may be repeated"),
    ] = ()
    name: Annotated[Text | None, Field(description="Part of the name, in either case")] = None
    scope: Annotated[
        tuple[TokenScope, ...],
        Field(max_length=4, description="With one of these; may be repeated"),
    ] = ()
    since: Annotated[Moment | None, Field(description="Made from this time on")] = None
    until: Annotated[Moment | None, Field(description="Made before this time")] = None
    sort: Annotated[
        Literal["created_at", "-created_at", "name", "-name"],
        Field(description="By what; `-`: greatest first"),
    ] = "created_at"
