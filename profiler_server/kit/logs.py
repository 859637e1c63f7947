"""Logs go to stderr, one line an event: coloured for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import sys

import structlog
from structlog.typing import Processor


def configure(level: str) -> None:
    """Sends structlog's and the standard library's events of this level and above to stderr.

    A terminal gets lines for people, anything else one JSON object a line. Within a
    request, every event carries its `request_id`.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered = _renderers(for_people=sys.stderr.isatty())
    # Its own way to stderr: through the standard library, a line costs three times as much.
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


# One for all lines: `json.dumps` makes an encoder at each call that names a default.
_encoder = json.JSONEncoder(default=repr)


def _to_json(event: object, **_: object) -> str:
    return _encoder.encode(event)


def _renderers(*, for_people: bool) -> list[Processor]:
    if not for_people:
        as_json = structlog.processors.JSONRenderer(serializer=_to_json)
        return [structlog.processors.format_exc_info, as_json]
    # The rich formatter of exceptions shows local variables, tokens among them.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
