"""`search-client sustained` by a real server and agent, for a minute."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from netspec.console.tokens import server_tokens
from tests.acceptance.commands import run
from tests.integration.device_agent.models import block_file
from tests.integration.device_agent.processes import Farm


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    made = Farm(tmp_path / "data")
    made.start_server()
    yield made
    made.close()


def said(farm: Farm, *arguments: str) -> str:
    given = {"PROFILER_URL": farm.url, "PROFILER_TOKEN": server_tokens(farm.url, farm.folder)[0]}
    ended = run("search-client", "sustained", *arguments, **given)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_it_wants_a_model_or_a_job(farm: Farm) -> None:
    given = {"PROFILER_URL": farm.url, "PROFILER_TOKEN": server_tokens(farm.url, farm.folder)[0]}
    ended = run("search-client", "sustained", **given)
    assert ended.returncode == 2
    assert ended.stderr == "error: give either a MODEL to run or a --job to show\n"


@pytest.mark.nightly
def test_a_file_runs_for_a_minute_on_this_machine(farm: Farm, tmp_path: Path) -> None:
    farm.run_agent()
    farm.start_agent()
    told = said(farm, str(block_file(tmp_path, size=64)), "--minutes", "1", "--json")
    found = json.loads(told)
    assert 5 <= len(found["windows"]) <= 8
    times = [window["at_s"] for window in found["windows"]]
    assert all(9 < later - earlier < 20 for earlier, later in itertools.pairwise(times))
    assert found["speed"]["first_minute_ms"] > 0
    assert found["speed"]["steady_ms"] > 0
    shown = said(farm, "--job", found["job_id"])
    assert "1 min without pause" in shown
    assert "steady state:" in shown
