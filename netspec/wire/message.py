"""What every message is, and the limits that server and clients agree on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from netspec.validation import FrozenModel

#: limits that server and clients agree on
MAX_VISITS_PER_BATCH = 1_000
MAX_TASKS_PER_LEASE = 2_000
MAX_LOOKED_UP = 5_000
MAX_MODEL_BYTES = 64 * 2**20
MAX_WAIT_S = 30.0
#: items on a page of a list
MAX_PAGE = 1_000
#: characters: two texts of 200, of 4 bytes each, and what stands around them
MAX_CURSOR = 2_400
#: at bytes 4 to 8 of a `.tflite` file. Source: TensorFlow Lite's schema.fbs, file_identifier
MODEL_IDENTIFIER = b"TFL3"

#: what fits the databases' columns
Fence = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _with_utc(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this moment is in no year from 1 to 9999 of UTC") from error
    return moment


#: a time with its zone
Moment = Annotated[AwareDatetime, AfterValidator(_with_utc)]


class Message(FrozenModel):
    """What server, agents and clients send each other."""


class ListQuery(Message):
    """Which items of a list, in which order, and which page; what is not named may be anything.

    Each list has its own, with its filters and the names that it is sorted by. A name with `-`
    before it puts the greatest first.
    """

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="Items on a page")] = 100
    cursor: Annotated[
        str | None,
        Field(max_length=MAX_CURSOR, description="From the `Link` header of the page before"),
    ] = None
    sort: str

    def parameters(self) -> list[tuple[str, str]]:
        """The query parameters that say the same; what is as usual is left out."""
        plain = self.model_dump(mode="json", exclude_defaults=True)
        return [
            (name, str(one))
            for name, value in plain.items()
            for one in (value if isinstance(value, list) else [value])
        ]
