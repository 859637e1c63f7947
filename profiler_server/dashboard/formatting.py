"""Times and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S
#: a duration is shown in the largest unit of which it has two
_AT_LEAST = 2
#: what browsers call themselves, those first that call themselves after others, too
_BROWSERS = {"Edg/": "Edge", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
_SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def moment(time: datetime | None) -> str:
    """To the minute, in UTC."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def iso(time: datetime) -> str:
    """For the `datetime` attribute of a `time` element."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def ago(time: datetime, now: datetime) -> str:
    """How long before `now` it was."""
    seconds = (now - time).total_seconds()
    return "just now" if seconds < _AT_LEAST else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """In one unit: seconds, minutes, hours or days."""
    for unit, name in ((_DAY_S, "days"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= _AT_LEAST * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things: `1 device`, `1,400 visits`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def clock(time: datetime) -> str:
    """To the second, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def plain(state: str) -> str:
    """A state or kind without underscores."""
    return state.replace("_", " ")


def browser(agent: str) -> str:
    """A browser by its `User-Agent`, as `Firefox on Linux`; any other as it calls itself."""
    name = next((name for mark, name in _BROWSERS.items() if mark in agent), None)
    if name is None:
        return agent or "unnamed"
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), None)
    return name if system is None else f"{name} on {system}"
