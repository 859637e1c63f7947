"""A browser without scripts, for tests that need no real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import httpx2
from fastapi import FastAPI
from fastapi.testclient import TestClient

#: the address under which cookies need no https
LOCAL = "http://localhost"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Page(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__()
        self.status = answer.status_code
        self.html = answer.text
        self.address = str(answer.url)
        #: hidden fields of the forms, by where they post
        self.forms: dict[str, dict[str, str]] = {}
        self.links: list[str] = []
        self.tags: list[str] = []
        self.rows: list[str] = []
        self._form: dict[str, str] = {}
        self._text: list[str] = []
        self._row: list[str] | None = None
        #: elements that are open and shown only when somebody asks
        self._unasked = 0
        self.feed(self.html)
        #: all that is read, with single blanks
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if "popover" in given or self._unasked:
            self._unasked += 1
        if tag == "form":
            self._form = self.forms.setdefault(given.get("action", ""), {})
        elif tag == "input" and given.get("type") == "hidden":
            self._form[given["name"]] = given["value"]
        elif tag == "a":
            self.links.append(given["href"])
        elif tag == "tr":
            self._row = []

    def handle_endtag(self, tag: str) -> None:
        self._unasked = max(self._unasked - 1, 0)
        if tag == "tr" and self._row is not None:
            self.rows.append(" ".join(" ".join(self._row).split()))
            self._row = None

    def handle_data(self, data: str) -> None:
        if self._unasked:
            return
        self._text.append(data)
        if self._row is not None:
            self._row.append(data)


class Visitor:
    """Somebody with a browser.

    Args:
        app: the server.
        base_url: how the browser reaches it.
    """

    def __init__(self, app: FastAPI, base_url: str = LOCAL) -> None:
        self.http = TestClient(app, base_url=base_url, raise_server_exceptions=False)

    def get(self, path: str, *, status: int = 200) -> Page:
        """A page of the dashboard; its status is checked."""
        return self._page(self.http.get(f"/dashboard{path}"), status)

    def post(
        self,
        path: str,
        fields: Mapping[str, Any] | Sequence[tuple[str, str]] = (),
        *,
        status: int = 200,
    ) -> Page:
        """Where a form leads to; the status of the last page is checked."""
        content = urlencode(fields if isinstance(fields, Mapping) else list(fields), doseq=True)
        answer = self.http.post(f"/dashboard{path}", content=content, headers=_FORM)
        return self._page(answer, status)

    def submit(
        self, page: Page, path: str, fields: Mapping[str, Any] | None = None, *, status: int = 200
    ) -> Page:
        """Sends a form of a page, its hidden fields included."""
        hidden = page.forms[f"/dashboard{path}"]
        return self.post(path, {**hidden, **(fields or {})}, status=status)

    def upload(
        self,
        page: Page,
        path: str,
        fields: Mapping[str, str],
        file: tuple[str, bytes] | None,
        *,
        status: int = 200,
    ) -> Page:
        """Sends a form of a page with a file in its field `model`, hidden fields included."""
        given = {**page.forms[f"/dashboard{path}"], **fields}
        # A part without a file name would not be one of a file.
        files = {"model": file} if file is not None else {"none": ("", b"")}
        answer = self.http.post(f"/dashboard{path}", data=given, files=files)
        return self._page(answer, status)

    def sign_in(self, token: str, path: str = "/") -> Page:
        """Signs in at a page's address; the page."""
        return self.submit(self.get(path, status=401), "/login", {"token": token})

    def _page(self, answer: httpx2.Response, status: int) -> Page:
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        page = Page(answer)
        # Nothing that the policy would have to stop.
        assert " style=" not in page.html
        assert " onclick=" not in page.html
        return page
