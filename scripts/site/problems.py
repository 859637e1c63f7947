"""The page of problems: every kind, what it means and what to do."""

from __future__ import annotations

from profiler_server.kit.problem_texts import MEANINGS
from profiler_server.kit.problems import KINDS
from scripts.site.markdown import page

_INTRODUCTION = (
    "Every error of the server is a problem of one of these kinds "
    "([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). Its `type` is `/problems/KIND`, and "
    "leads to what stands here at the server itself, where no token is needed."
)


def problem_page() -> str:
    """`docs/reference/problems.md`."""
    parts = [_INTRODUCTION]
    for kind, (status, title) in KINDS.items():
        parts += [f"## {kind}", f"{title} ({status}).", MEANINGS[kind]]
    return page("Problems", "`profiler_server/kit/problem_texts.py`", parts)
