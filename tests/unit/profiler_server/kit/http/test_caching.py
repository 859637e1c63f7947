from __future__ import annotations

import pytest
from fastapi import Request

from profiler_server.kit.http.caching import BriefCache, BytesCache, etag, is_current


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


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_brief_cache_forgets_what_is_old_and_everything_when_full() -> None:
    clock = Clock()
    cache: BriefCache[str, int] = BriefCache(5.0, most=2, clock=clock)
    cache.put("a", 1)
    assert cache.get("a") == 1
    clock.now = 5.0
    assert cache.get("a") is None
    cache.put("b", 2)
    cache.put("c", 3)
    assert (cache.get("b"), cache.get("c")) == (None, 3)


def test_documents_used_last_are_kept_up_to_a_number_of_bytes() -> None:
    cache: BytesCache[str] = BytesCache(10)
    cache.put("a", bytes(4))
    cache.put("b", bytes(4))
    assert cache.get("a") == bytes(4)
    cache.put("c", bytes(6))
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (bytes(4), bytes(6))
    cache.put("c", bytes(6))
    cache.put("large", bytes(11))
    assert cache.get("large") is None
    assert cache.get("a") == bytes(4)
