"""SQL of events."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from profiler_server.events.tables import EventKind, EventRow


def append(session: Session, at: datetime, kind: EventKind, **data: str | int) -> None:
    """Notes an event, in the transaction that makes it happen."""
    session.execute(insert(EventRow).values(at=at, kind=kind, data=json.dumps(data)))
