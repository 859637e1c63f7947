"""`search-client validate` against a real server; the test itself plays the agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from typer.testing import CliRunner

from netspec.client import ProfilerClient, job_calls
from netspec.console.connection import TOKEN_VARIABLE, URL_VARIABLE
from netspec.operators import Operator
from netspec.sampling import random_network
from netspec.spaces import Space
from netspec.wire import NetworkSubject, OperatorSubject, PublishRequest, Snapshot
from profiler_server.latency_model.features import work
from search_client.cli import app
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api, read

SPACE = Space(input_size=32, width=0.25, classes=10)
RECIPE = """
precision = "float32"
[space]
input_size = 32
width = 0.25
[profiling]
network_rounds = 2
"""


def alone_ms(operator: Operator) -> float:
    return 0.05 + work(operator).macs / 1e5


class Agent:
    """Measures what is waiting; networks take 10 % more than their operators."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.device = api.register(farm.registration()).id

    def work(self) -> None:
        lease = self.api.claim(self.device)
        took = {
            task.subject.name: (
                1.1 * sum(map(alone_ms, task.subject.network.operators))
                if isinstance(task.subject, NetworkSubject)
                else alone_ms(task.subject.operator)
            )
            for task in lease.tasks
            if isinstance(task.subject, NetworkSubject | OperatorSubject)
        }
        self.api.upload(farm.visits(lease, self.device, rounds=lease.tasks[0].visits, ms=took))
        self.api.release(lease)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    with Server(tmp_path / "data") as server:
        token = server.about_token.split()[-1]
        monkeypatch.setenv(TOKEN_VARIABLE, token)
        monkeypatch.setenv(URL_VARIABLE, server.url)
        with httpx2.Client(base_url=server.url) as http:
            yield Agent(Api(http, token))


@pytest.fixture
def published(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """A table calibrated on six networks; whoever waits for a job lets the agent work."""
    rng = np.random.default_rng(0)
    networks = [random_network(SPACE, rng) for _ in range(6)]
    agent.api.file(farm.job(SPACE.operators(), networks=networks, rounds=1))
    agent.work()
    path = f"/v1/targets/{farm.identity().id}/snapshots"
    snapshot = read(Snapshot, agent.api.call("POST", path, PublishRequest(), status=201))
    monkeypatch.setattr(job_calls, "POLL_S", 0.01)
    create = ProfilerClient.create_job

    def create_and_work(self: ProfilerClient, request: object) -> object:
        job = create(self, request)  # type: ignore[arg-type]
        if job.tasks:
            agent.work()
        return job

    monkeypatch.setattr(ProfilerClient, "create_job", create_and_work)
    return snapshot


def run(tmp_path: Path, *more: str) -> str:
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    words = ["validate", "--recipe", str(recipe), "--classes", "10", "--precision", "float32"]
    result = CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_fresh_networks_are_measured_and_compared(tmp_path: Path, published: Snapshot) -> None:
    plot = tmp_path / "errors.svg"
    document = json.loads(
        run(tmp_path, "--networks", "5", "--seed", "3", "--json", "--plot", str(plot))
    )
    assert document["seed"] == 3
    (found,) = document["validations"]
    assert found["snapshot_id"] == published.id
    assert len(found["networks"]) == 5
    used = {one.name for one in published.calibrations[0].networks}
    for one in found["networks"]:
        assert one["name"] not in used
        assert one["error_percent"] == pytest.approx(0.0, abs=0.5)
    assert found["error"]["mape_percent"] < 0.5
    assert found["error"]["within_5"] == 1.0
    assert "<svg" in plot.read_text()


def test_the_table_says_how_far_predictions_are_off(tmp_path: Path, published: Snapshot) -> None:
    said = run(tmp_path, "--networks", "3", "--seed", "3")
    held_out = published.calibrations[0].held_out
    assert held_out is not None
    words = " ".join(said.split())
    assert "100% within 5 %" in words
    assert f"the snapshot states {held_out.mape_percent:.1f} %" in words
    assert "--seed 3" in said


def test_a_precision_that_lacks_is_told_before_anything_is_measured(
    tmp_path: Path, published: Snapshot, agent: Agent
) -> None:
    assert published.calibration("float32") is not None
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    before = agent.api.call("GET", "/v1/jobs").json()
    result = CliRunner().invoke(app, ["validate", "--recipe", str(recipe), "--classes", "10"])
    assert "has no int8 calibration" in str(result.exception)
    assert agent.api.call("GET", "/v1/jobs").json() == before


def test_a_plot_needs_a_known_ending(tmp_path: Path, agent: Agent) -> None:
    assert agent.device
    words = ["validate", "--plot", str(tmp_path / "errors.gif")]
    result = CliRunner().invoke(app, words)
    assert "neither .svg nor .png" in str(result.exception)
