"""What is known of uploaded models."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from netspec.protocol import Sha256
from netspec.wire.jobs import Owner
from netspec.wire.message import Message


class StoredModel(Message):
    """An uploaded `.tflite` file."""

    sha256: Sha256
    #: bytes
    size: int
    created_at: AwareDatetime
    #: whose it is; None of models of before that was kept
    owner: Annotated[Owner | None, Field(exclude_if=lambda value: value is None)] = None
