"""HTTP/1.1 as uvicorn speaks it, with less patience."""

from __future__ import annotations

import asyncio
import math
import re
from typing import ClassVar, Literal

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from profiler_server.kit.problems import KINDS, MEDIA_TYPE, body_of

#: what a Host may be. Source: RFC 3986, section 3.2
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:\d*)?")


class Http(HttpToolsProtocol):
    """Answers what is no HTTP request with a problem, and hangs up on who is too slow.

    A request's head must be there in time. A body may take a while, and longer the more of it
    arrives, as with Apache's mod_reqtimeout; but not once the answer is given.
    """

    #: s for a request's head, for a body, and for a client to take a part of an answer
    head_s: ClassVar[float] = 10.0
    body_s: ClassVar[float] = 20.0
    answer_s: ClassVar[float] = 60.0
    #: bytes of a body that earn it another second
    bytes_per_s: ClassVar[int] = 4_096
    #: bytes of a head, and of what stands around the parts of a body
    most_head_bytes: ClassVar[int] = 65_536
    #: how often (s) this is looked at
    check_every_s: ClassVar[float] = 1.0

    _awaited: Literal["head", "body", "nothing"]
    #: when that began
    _since: float
    #: bytes that have arrived of a body
    _received = 0
    #: bytes since the last one of a body, or since a head began
    _unparsed = 0
    #: since when the client has not taken an answer
    _full_since = math.inf
    _checking: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._await("head")
        self._check_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._checking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on, unless it is far more than requests are made of."""
        if self._awaited == "nothing" and not self._is_answering:
            self._await("head")
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > self.most_head_bytes:
            self._refuse("head-too-large", f"they have more than {self.most_head_bytes} bytes")

    def on_message_begin(self) -> None:
        """A request begins, perhaps while another is being answered."""
        super().on_message_begin()
        self._await("head")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header; what follows a body is none."""
        if self._awaited == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there; its body may follow."""
        hosts = [value for name, value in self.headers if name == b"host"]
        needed = self.parser.get_http_version() != "1.0"
        if len(hosts) > 1 or (needed and not hosts) or not all(map(_HOST.fullmatch, hosts)):
            raise HttpParserError("a request names one host")
        self._await("body")
        self._received = self._unparsed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._unparsed = 0
        if not self.cycle.response_complete:
            self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there."""
        self._await("nothing")
        self._unparsed = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not take what it asked for."""
        self._full_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client goes on."""
        self._full_since = math.inf
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answers and hangs up."""
        self._refuse("bad-request", f"{msg} Send HTTP/1.1, with one Host.")

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await(self, what: Literal["head", "body", "nothing"]) -> None:
        self._awaited, self._since = what, self.loop.time()

    def _check_later(self) -> None:
        self._checking = self.loop.call_later(self.check_every_s, self._check)

    def _check(self) -> None:
        now = self.loop.time()
        if now > self._full_since + self.answer_s:
            self.transport.abort()
            return
        if self.flow.read_paused or (self._awaited == "head" and self._is_answering):
            # Nobody has to be quicker than this server.
            self._since = now
        if now > self._since + self._allowed_s():
            self._refuse("request-timeout", f"its {self._awaited} did not arrive in time")
        self._check_later()

    def _allowed_s(self) -> float:
        match self._awaited:
            case "head":
                return self.head_s
            case "body":
                return self.body_s + self._received / self.bytes_per_s
            case "nothing":
                return math.inf

    def _refuse(self, kind: str, detail: str) -> None:
        """Answers, where that is still possible and anything was asked, and hangs up."""
        if self.transport.is_closing():
            return
        if self._awaited == "body":
            is_asked = not self.cycle.response_started
        else:
            is_asked = self._unparsed > 0 and not self._is_answering
        if is_asked:
            self.transport.write(_answer(kind, detail))
        self.transport.close()


def _answer(kind: str, detail: str) -> bytes:
    status, title = KINDS[kind]
    content = body_of(kind, detail)
    head = (
        f"HTTP/1.1 {status} {title}\r\n"
        f"content-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(content)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + content
