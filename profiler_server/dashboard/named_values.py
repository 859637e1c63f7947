"""Labels as people write them."""

from __future__ import annotations

from pydantic import ValidationError

from netspec.wire import MAX_LABELS, DeviceLabels
from profiler_server.kit.problems import Problem

#: characters of what is no label that a message repeats
_MOST_SHOWN = 100


def named_values(text: str, separator: str) -> dict[str, str]:
    """The labels in a text like `rack=2, owner=vision`; none in an empty one.

    Args:
        text: as it was typed.
        separator: a comma, or a line's end.

    Raises:
        Problem: `invalid-request`, naming what is no label.
    """
    pairs = [pair.strip() for pair in text.split(separator) if pair.strip()]
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        shown = pair if len(pair) <= _MOST_SHOWN else f"{pair[:_MOST_SHOWN]}..."
        if not (name and equals):
            raise Problem("invalid-request", f"labels: expected name=value, got {shown!r}")
        try:
            DeviceLabels(labels={name: value})
        except ValidationError as error:
            raise Problem(
                "invalid-request",
                "labels: a name has small letters, digits, dots, dashes, slashes and underscores, "
                f"at most 63 of them, and a value at most 200 characters; got {shown!r}",
            ) from error
        if name in found:
            raise Problem("invalid-request", f"labels: {name} is named twice")
        found[name] = value
    if len(found) > MAX_LABELS:
        raise Problem(
            "invalid-request", f"labels: a device has at most {MAX_LABELS}, got {len(found)}"
        )
    return found
