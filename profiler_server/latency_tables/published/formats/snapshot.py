"""The product's own snapshot: JSON, as `search-client snapshot` saves it and every server sends it.

It says what it is true for, and carries its calibrations. Its id is the hash of all else that it
says, so that one that was changed is found out.
"""

from __future__ import annotations

import hashlib
import json

from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.operators import Precision, content_hash, operator_from_key
from netspec.protocol import TargetIdentity
from netspec.validation import first_problem
from netspec.wire import Snapshot
from profiler_server.latency_tables.published.formats.table import (
    Price,
    ReadTable,
    TableFormat,
    TableUnreadable,
    require_length,
)


def _read(text: str, precision: Precision | None) -> ReadTable:
    """The prices of a snapshot, dated as they are, with its target and its calibrations.

    Raises:
        TableUnreadable: it is no snapshot, it was changed, or a precision is given.
    """
    if precision is not None:
        raise TableUnreadable("a snapshot names each entry's precision; leave --precision out")
    require_length(text)
    try:
        snapshot = Snapshot.model_validate_json(text)
    except ValidationError as error:
        raise TableUnreadable(
            f"the file is no snapshot: {first_problem(error)}; `search-client snapshot` saves one"
        ) from error
    said = json.loads(text)
    hashed = content_hash({name: said[name] for name in said.keys() - {"id", "created_at"}})
    if hashed != snapshot.id or snapshot.identity.id != snapshot.target_id:
        raise TableUnreadable(
            f"the snapshot's id is {snapshot.id}, and that is not the hash of what it says: it was "
            "changed; ask for it again"
        )
    prices = []
    left_out: dict[str, str] = {}
    for entry in snapshot.entries:
        try:
            operator = operator_from_key(entry.name)
        except InvalidSpec as why:
            left_out[entry.name] = str(why)
            continue
        prices.append(
            Price(
                operator,
                entry.value_ms,
                entry.low_ms,
                entry.high_ms,
                entry.visits,
                entry.measured_at,
            )
        )
    return ReadTable(
        tuple(prices),
        left_out,
        snapshot.identity.device_model,
        _identity(snapshot),
        snapshot.calibrations,
    )


def _identity(snapshot: Snapshot) -> TargetIdentity:
    """The snapshot's target but for the protocol, so that nothing measured here joins it."""
    imported = hashlib.sha256(f"imported snapshot {snapshot.id}".encode()).hexdigest()
    return TargetIdentity(**{**snapshot.identity.model_dump(), "protocol": imported})


FORMAT = TableFormat(
    names_precision=True,
    names_device=True,
    names_target=True,
    has_header=False,
    read=_read,
    write=None,
)
