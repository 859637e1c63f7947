"""A page of a real browser that tells what went wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from tests.integration.profiler_server.service import Api

#: what holds wide things; figures of reports are full of small print
_BOXED = ".scroll, .dense"
#: of each box: its name, whether it scrolls, and whether it says so
_BOXES = """all => all.filter(one => one.checkVisibility()).map(one => [
  one.getAttribute("aria-label"),
  one.scrollWidth > one.clientWidth,
  getComputedStyle(one, "::before").display === "block",
])"""
_axe = Axe()
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Watched:
    """A page whose console must stay empty: a broken policy and a failed script both speak there.

    Args:
        context: of the browser.
        base: the dashboard's address.
    """

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def go(self, path: str) -> None:
        """Opens a page of the dashboard, and waits until its scripts have run."""
        answer = self.page.goto(self.base + path)
        assert answer is not None
        assert answer.status == 200, (path, answer.status)

    def sign_in(self, token: str) -> None:
        """Signs in as people do."""
        self.go("/login")
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Farm").wait_for()

    def check_accessible(self, *, only: Sequence[str] = ()) -> None:
        """Asks axe-core; the text of a failure names the rule and the elements.

        Args:
            only: rules to check; none: all that stand for WCAG 2.2 AA, and good practice.
        """
        options = {"runOnly": {"type": "rule", "values": list(only)}} if only else _RULES
        found: list[dict[str, Any]] = _axe.run(self.page, options=options).response["violations"]
        assert [
            (one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found
        ] == [], self.page.url

    def check_fits(self) -> None:
        """Checks that nothing is cut off; wide tables scroll in their boxes, which say so."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, (self.page.url, wide)
        boxes: list[list[object]] = self.page.eval_on_selector_all(_BOXED, _BOXES)
        assert [box for box in boxes if box[1] != box[2]] == [], self.page.url


#: a watched page in a new context of the browser
Open = Callable[..., Watched]
#: a watched page of a file, by its name, in a new context of the browser
OpenFile = Callable[..., Watched]


@dataclass(frozen=True)
class Site:
    """A running server with a farm worth looking at."""

    api: Api
    #: of every scope
    token: str
    #: the dashboard's address
    base: str
