"""What is known of uploaded models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from netspec.protocol import Sha256, Text
from netspec.wire.jobs import Owner
from netspec.wire.message import ListQuery, Message, Moment


class StoredModel(Message):
    """An uploaded `.tflite` file."""

    sha256: Sha256
    #: bytes
    size: int
    created_at: AwareDatetime
    #: whose it is; None of models of before that was kept
    owner: Annotated[Owner | None, Field(exclude_if=lambda value: value is None)] = None


class ModelQuery(ListQuery):
    """Which models, and in which order."""

    owner: Annotated[Text | None, Field(description="Name or id of the token it is of")] = None
    since: Annotated[Moment | None, Field(description="Uploaded from this time on")] = None
    until: Annotated[Moment | None, Field(description="Uploaded before this time")] = None
    sort: Annotated[
        Literal["created_at", "-created_at", "size", "-size"],
        Field(description="By what; `-`: greatest first"),
    ] = "-created_at"
