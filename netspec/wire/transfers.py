"""Filling a target's table from another target's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.operators import Precision
from netspec.protocol import Sha256, TargetId
from netspec.wire.message import Message


class TransferRequest(Message):
    """Fill a target's table from another one's, if what both have measured agrees."""

    source_target_id: TargetId
    #: mean error of entries transferred by a factor, up to which the two targets agree
    within_percent: Annotated[float, Field(gt=0, le=100)] = 5.0
    #: measure operators of the source on the target first, until so many of each precision are
    #: measured on both; 0: what is measured on both decides
    measure: Annotated[int, Field(ge=0, le=500)] = 0


class TransferOfPrecision(Message):
    """How two targets compare in one precision."""

    precision: Precision
    #: operators measured on both
    shared: int
    #: target over source, the median
    factor: float
    #: of entries times the factor, each left out once
    mape_percent: float
    worst_percent: float
    #: key of the operator with the worst error
    worst_operator: str
    #: entries that the target has got
    filled: int


class Transfer(Message):
    """What became of a transfer.

    `measuring`: ask again when the job is done; `filled`: the target has entries of the method
    `fitted` now, wherever it had none, and its table with them is published; `refused`: the targets
    differ by more than was allowed in some precision, and that one was left alone.
    """

    source_target_id: TargetId
    target_id: TargetId
    state: Literal["measuring", "filled", "refused"]
    #: that measures, while it does
    job_id: str | None = None
    precisions: tuple[TransferOfPrecision, ...] = ()
    #: that was published with what was filled in; None: nothing was
    snapshot_id: Annotated[Sha256 | None, Field(exclude_if=lambda value: value is None)] = None
