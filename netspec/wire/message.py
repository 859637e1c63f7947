"""What every message is, and the limits that server and clients agree on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from netspec.validation import FrozenModel

#: limits that server and clients agree on
MAX_VISITS_PER_BATCH = 1_000
MAX_TASKS_PER_LEASE = 2_000
MAX_LOOKED_UP = 5_000
MAX_MODEL_BYTES = 64 * 2**20
MAX_WAIT_S = 30.0
#: at bytes 4 to 8 of a `.tflite` file. Source: TensorFlow Lite's schema.fbs, file_identifier
MODEL_IDENTIFIER = b"TFL3"

#: what fits the databases' columns
Fence = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Message(FrozenModel):
    """What server, agents and clients send each other."""
