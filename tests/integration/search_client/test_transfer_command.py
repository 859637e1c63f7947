"""`search-client transfer` against a real server; the test plays the new target's agent."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.profiler_server import farm
from tests.integration.profiler_server.test_sibling_jobs import (
    NETWORKS,
    OPERATORS,
    SOURCE,
    TARGET,
    work_off,
)
from tests.integration.search_client.test_jobs_commands import Lab, lab

__all__ = ["lab"]


@pytest.fixture(scope="module")
def sibling(lab: Lab) -> str:
    """The source has everything; the new target's device."""
    lab.api.file(farm.job(OPERATORS, networks=NETWORKS, rounds=2))
    work_off(lab.api, lab.device, 1.0)
    return lab.api.register(farm.registration("XL", "Pixel 1 XL")).id


def transfer(lab: Lab, device: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(
            lab.command, "transfer", SOURCE[:8], TARGET[:8], "--rounds", "2", *arguments
        )
        while not ended.done():
            latest = lab.api.call("GET", "/v1/jobs?limit=1").json()
            if latest[0]["state"] in ("queued", "running"):
                work_off(lab.api, device, 1.5)
            time.sleep(0.05)
        return ended.result()


def test_a_table_is_made_of_a_siblings_and_says_how_far_it_may_be_off(
    lab: Lab, sibling: str
) -> None:
    ended = transfer(lab, sibling, "--budget", "4", "--enough", "0.1", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["entries"] == len(OPERATORS)
    # 4 of the 10 first ones are operators, and 4 more are the budget.
    assert found["fitted"] == len(OPERATORS) - 8
    shown = lab.said("jobs", "show", found["job_id"])
    said = f"a network's sum is expected to be off by {found['table_error_percent']:.1f} %"
    assert said in shown


def test_people_read_it_in_words(lab: Lab, sibling: str) -> None:
    ended = transfer(lab, sibling, "--visits", "12", "--enough", "0.1")
    assert ended.returncode == 0, ended.stderr
    assert f"are fitted from {SOURCE}, the others measured" in ended.stdout
    assert "more than the 0.1 % asked for: give a greater --budget" in ended.stdout


def test_a_transfer_that_cannot_be_is_refused_in_a_line(lab: Lab, sibling: str) -> None:
    assert sibling
    assert "is the source itself" in lab.refused("transfer", SOURCE, SOURCE)
    assert "no target" in lab.refused("transfer", "zzz", TARGET)
