"""Server-sent events as messages. Source: HTML Living Standard, section 9.2."""

from __future__ import annotations

from collections import OrderedDict

from netspec.wire import Event

#: events that are known to have come, so that one which is sent twice is told once
_KNOWN = 10_000


class EventReader:
    """Reads the lines of one stream, and knows where the next one goes on."""

    def __init__(self, after: int | None) -> None:
        self._last_id = None if after is None else str(after)
        self._pending_id: str | None = None
        self._data: list[str] = []
        self._known: OrderedDict[int, None] = OrderedDict()
        #: how long (s) to wait before the stream is asked for again
        self.retry_s = 2.0

    @property
    def headers(self) -> dict[str, str]:
        """Of the request for the stream."""
        headers = {"Accept": "text/event-stream"}
        return headers if self._last_id is None else {**headers, "Last-Event-ID": self._last_id}

    def read(self, line: str) -> Event | None:
        """The event that a line ends, if it was not told before."""
        if not line:
            data, self._data = "\n".join(self._data), []
            self._last_id = self._pending_id or self._last_id
            return self._new(Event.model_validate_json(data)) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._pending_id = value
        elif name == "retry" and value.isdecimal():
            self.retry_s = int(value) / 1000
        return None

    def break_off(self) -> None:
        """The stream has ended, perhaps in the middle of an event."""
        self._data, self._pending_id = [], None

    def _new(self, event: Event) -> Event | None:
        if event.id in self._known:
            return None
        self._known[event.id] = None
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return event
