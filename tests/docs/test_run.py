"""The documentation's commands are run: the tutorial from its start to its end, then the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netspec.client import ProfilerClient
from netspec.console.connection import TOKEN_VARIABLE, URL_VARIABLE
from search_client.report.content import Report
from tests.docs.desk import SMALLER, Desk, empty_desk, smaller, tell_where_the_server_is
from tests.docs.pages import SHELL, Block, all_blocks
from tests.waiting import wait_for

TUTORIAL = "docs/tutorial.md"
RUN = [block for block in all_blocks() if block.mark == "run" and block.language in SHELL]
#: an import makes a second target, so it comes last: until then no command needs --target
OTHER_PAGES = sorted(
    {block.page for block in RUN} - {TUTORIAL},
    key=lambda page: (page == "docs/how-to/published-table.md", page),
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk at which somebody has worked through the tutorial."""
    with empty_desk(tmp_path_factory.mktemp("desk")) as desk:
        for block in (block for block in all_blocks() if block.page == TUTORIAL):
            _follow(desk, block)
        found = _report(desk).searched.predicted_ms["int8"]
        desk.variables["LATENCY"] = f"{found}ms"
        yield desk
        desk.stop()


def _report(desk: Desk) -> Report:
    path = desk.folder / "runs" / "first" / "report.json"
    return Report.model_validate_json(path.read_bytes())


def _follow(desk: Desk, block: Block) -> None:
    if block.title:
        desk.write(block)
    elif block.mark == "run":
        desk.run(block)
    elif block.mark == "run in the background":
        log = desk.start(block)
        if "profiler-server" in block.text:
            tell_where_the_server_is(desk, log)
        else:
            _wait_for_a_device(desk)


def _wait_for_a_device(desk: Desk) -> None:
    with ProfilerClient(desk.variables[URL_VARIABLE], desk.variables[TOKEN_VARIABLE]) as client:
        devices = wait_for(client.devices)
        desk.variables["DEVICE"] = devices[0].id
        desk.variables["TARGET"] = client.targets()[0].id


def test_the_tutorial_ends_with_a_measured_int8_file(desk: Desk) -> None:
    run = desk.folder / "runs" / "first"
    assert _report(desk).searched.measured_ms["int8"] > 0
    assert (run / "searched.int8.tflite").stat().st_size > 0
    assert (run / "report.html").exists()


@pytest.mark.parametrize("page", OTHER_PAGES)
def test_what_a_page_says_can_be_done(page: str, desk: Desk) -> None:
    for block in all_blocks():
        if block.page == page and block.title:
            desk.write(block)
    for block in RUN:
        if block.page == page:
            desk.run(block)


def test_every_replacement_is_needed() -> None:
    text = "\n".join(block.text for block in all_blocks() if block.title or block in RUN)
    text += "profiler-server serve\n"
    unused = []
    for number, (pattern, _) in enumerate(SMALLER):
        others = [pair for place, pair in enumerate(SMALLER) if place != number]
        if smaller(text, others) == smaller(text):
            unused.append(pattern)
    assert unused == []
