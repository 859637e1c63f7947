from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from netspec.console.connection import DATA_DIR_VARIABLE
from netspec.console.tokens import load_token
from tests.browser import farm, reports
from tests.browser.watching import Open, OpenFile, Site, Watched
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api

#: Debian's name, and what others call it
_NAMES = ("chromium", "chromium-browser", "google-chrome")
#: a machine that does much else at the same time
_PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module, not of the session: its event loop would be in the way of other tests."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(_NAMES)} is installed; scripts/test-packages does that")
    # Chromium's sandbox wants a user other than root.
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("server")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv(DATA_DIR_VARIABLE, str(folder))
        # What failed is tried again at once.
        server = stack.enter_context(Server(folder, variables={"PROFILER_RETRY_BACKOFF_S": "0"}))
        client = stack.enter_context(httpx2.Client(base_url=server.url, timeout=60))
        token = load_token(server.url)
        api = Api(client, token)
        farm.fill(api)
        yield Site(api, token, f"{server.url}/dashboard")


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Site) -> StorageState:
    """What a browser keeps of somebody who has signed in."""
    with browser.new_context() as context:
        watched = Watched(context, site.base)
        watched.sign_in(site.token)
        assert watched.complaints == []
        return context.storage_state()


@pytest.fixture
def open_page(browser: Browser, site: Site, signed_in: StorageState) -> Iterator[Open]:
    """Opens watched pages; at the end of the test their consoles must be empty."""
    with ExitStack() as stack:
        pages = []

        def make(*, sign_in: bool = True, **options: object) -> Watched:
            state = signed_in if sign_in else None
            context = stack.enter_context(
                browser.new_context(storage_state=state, **options)  # type: ignore[arg-type]
            )
            context.set_default_timeout(_PATIENCE_MS)
            watched = Watched(context, site.base)
            pages.append(watched)
            return watched

        yield make
        assert [complaint for watched in pages for complaint in watched.complaints] == []


@pytest.fixture(scope="session")
def report_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a search, and a comparison of sixty."""
    folder = tmp_path_factory.mktemp("reports")
    reports.write(folder)
    return folder


@pytest.fixture
def open_file(browser: Browser, report_files: Path) -> Iterator[OpenFile]:
    """Opens one of the pages; at the end of the test their consoles must be empty."""
    with ExitStack() as stack:
        pages = []

        def make(name: str, **options: object) -> Watched:
            context = stack.enter_context(browser.new_context(**options))  # type: ignore[arg-type]
            watched = Watched(context, report_files.as_uri())
            pages.append(watched)
            watched.page.goto(f"{watched.base}/{name}")
            return watched

        yield make
        assert [complaint for watched in pages for complaint in watched.complaints] == []
