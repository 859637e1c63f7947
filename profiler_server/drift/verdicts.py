"""What a recheck says of a target, and whether the target's table is still true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from profiler_server.drift import repository
from profiler_server.latency_model.drift import Drift, PredictionError


@dataclass(frozen=True)
class TableVerdict:
    """What was found when old entries were measured again."""

    #: None where nothing was measured both before and since
    drift: Drift | None
    #: of networks, None where none was measured whose calibration states an error
    error: PredictionError | None

    @property
    def is_alarming(self) -> bool:
        """Whether the table is no longer true."""
        return any(one is not None and one.is_alarming for one in (self.drift, self.error))

    def __str__(self) -> str:
        """For people."""
        said = []
        if self.drift is not None:
            said.append(
                f"median {self.drift.median_percent:+.1f} % over {self.drift.looks} looks, "
                f"worst {self.drift.worst_percent:+.1f} % ({self.drift.worst})"
            )
        if self.error is not None:
            said.append(
                f"predictions of {self.error.networks} networks are off by "
                f"{self.error.mape_percent:.1f} %, stated are {self.error.stated_percent:.1f} %"
            )
        return "; ".join(said)


VERDICT: TypeAdapter[TableVerdict] = TypeAdapter(TableVerdict)


@dataclass(frozen=True)
class Alarm:
    """A target's table is no longer true."""

    since: datetime
    verdict: TableVerdict


def alarm(session: Session, target_id: str) -> Alarm | None:
    """What the last recheck of the target has raised, if it has."""
    row = repository.verdict(session, target_id)
    if row is None or not row.is_alarming:
        return None
    return Alarm(row.at, VERDICT.validate_json(row.verdict))
