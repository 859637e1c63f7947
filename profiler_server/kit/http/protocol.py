"""HTTP/1.1 as uvicorn speaks it, but for what cannot be read at all."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from profiler_server.kit.problems import MEDIA_TYPE, body_of


class Http(HttpToolsProtocol):
    """Answers bytes that are no HTTP request with a problem rather than in plain text."""

    def send_400_response(self, msg: str) -> None:
        """Answers and hangs up."""
        content = body_of("bad-request", f"{msg} Send HTTP/1.1.")
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(content)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + content)
        self.transport.close()
