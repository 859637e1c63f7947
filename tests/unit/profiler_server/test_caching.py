from __future__ import annotations

import pytest
from fastapi import Request

from profiler_server.kit.caching import etag, is_current


@pytest.mark.parametrize(
    ("header", "current"),
    [
        (None, False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ("abc", False),
        ('"ab"', False),
        ("", False),
    ],
)
def test_if_none_match(header: str | None, current: bool) -> None:
    headers = [] if header is None else [(b"if-none-match", header.encode())]
    request = Request({"type": "http", "headers": headers})
    assert is_current(request, "abc") is current
    assert etag("abc") == '"abc"'
