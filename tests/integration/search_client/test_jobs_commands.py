"""`search-client jobs` and `devices` against a real server; the test plays the agent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from netspec.network_files import read_network
from netspec.wire import TaskOutcome
from profiler_server.leases.retries import MOST_FAILURES
from tests.acceptance.commands import environment
from tests.forked import run
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api
from tests.unit.netspec import configs


@dataclass(frozen=True)
class Lab:
    api: Api
    device: str
    url: str
    token: str

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        given = {"PROFILER_URL": self.url, "PROFILER_TOKEN": self.token}
        return run("search-client", *arguments, variables=environment(**given))

    def said(self, *arguments: str) -> str:
        ended = self.command(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def refused(self, *arguments: str) -> str:
        ended = self.command(*arguments)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
        return ended.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    # Tasks fail again and again: none rests in between.
    given = {"PROFILER_RETRY_BACKOFF_S": "0"}
    with Server(tmp_path_factory.mktemp("profiler"), variables=given) as server:
        token = server.about_token.split()[-1]
        with httpx2.Client(base_url=server.url) as http:
            api = Api(http, token)
            yield Lab(api, api.register(farm.registration()).id, server.url, token)


def test_jobs_are_listed_shown_cancelled_and_retried(lab: Lab) -> None:
    job = lab.api.file(farm.job(farm.blocks(2), rounds=1))
    for _ in range(MOST_FAILURES):
        lease = lab.api.claim(lab.device)
        failed = [
            TaskOutcome(task_id=task.task_id, state="failed", reason="too [hot] to touch")
            for task in lease.tasks
        ]
        lab.api.release(lease, failed)
    listed = lab.said("jobs", "list")
    assert job.id in listed
    assert json.loads(lab.said("jobs", "list", "--json"))[0]["id"] == job.id
    beginning = job.id.removeprefix("job_")[:10]
    shown = lab.said("jobs", "show", beginning)
    assert "too [hot] to touch" in shown
    assert json.loads(lab.said("jobs", "show", job.id, "--json"))["tasks_failed"] == 2
    assert json.loads(lab.said("jobs", "retry", beginning, "--json"))["tasks_failed"] == 0
    assert f"{job.id}: job\n  cancelled;" in lab.said("jobs", "cancel", beginning)
    assert "was cancelled; file it again" in lab.refused("jobs", "retry", beginning)
    assert "no job begins with 'zzz'" in lab.refused("jobs", "show", "zzz")
    assert "no job 'job_0000000000000000'" in lab.refused("jobs", "show", "job_" + "0" * 16)


def test_devices_are_listed_and_released(lab: Lab) -> None:
    lab.api.call("POST", f"/v1/devices/{lab.device}:quarantine", {"reason": "too hot"})
    assert "too hot" in lab.said("devices", "list")
    (device,) = json.loads(lab.said("devices", "list", "--json"))
    assert (device["id"], device["quarantine"]["reason"]) == (lab.device, "too hot")
    assert "may get work again" in lab.said("devices", "release", "S1")
    released = json.loads(lab.said("devices", "release", lab.device[:12], "--json"))
    assert released["quarantine"] is None
    assert "no device begins with 'S2'" in lab.refused("devices", "release", "S2")


def test_a_token_that_nobody_made_is_told_so(lab: Lab) -> None:
    reader = Lab(lab.api, lab.device, lab.url, "pf_not-a-token")
    assert "refused the token" in reader.refused("jobs", "list")


def test_a_job_that_no_device_serves_says_so(lab: Lab) -> None:
    job = lab.api.file(farm.job(farm.blocks(1), rounds=1, remeasure=True))
    lab.api.call("POST", f"/v1/devices/{lab.device}:quarantine", {"reason": "hot"})
    said = lab.said("jobs", "show", job.id)
    assert f"no device serves {farm.identity().id}: none has it, or all are in quarantine" in said
    listed = {one["id"]: one for one in json.loads(lab.said("jobs", "list", "--json"))}
    assert listed[job.id]["unserved"] == [farm.identity().id]
    lab.api.call("POST", f"/v1/devices/{lab.device}:release")
    assert "no device serves" not in lab.said("jobs", "show", job.id)
    lab.api.call("POST", f"/v1/jobs/{job.id}:cancel")


def test_a_published_network_is_priced(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "net.config"
    config.write_text(json.dumps(configs.mobilenet_v3()), encoding="utf-8")
    network = read_network(config, input_size=32, precision="float32")
    lab.api.file(farm.job(network.operators, rounds=1))
    target = farm.identity().id
    given = ("predict", "--config", str(config), "--target", target[:6])
    assert "give it in px (input_size, or --input-size)" in lab.refused(*given)
    sized = (*given, "--input-size", "32")
    assert "lacks bottleneck-in:16x16x16" in lab.refused(*sized)
    lab.api.upload(farm.visits(lab.api.claim(lab.device), lab.device, rounds=1))
    said = lab.said(*sized)
    # Eight operators of 1 ms each.
    assert said.startswith("net 32: 8.00 ms in float32, uncalibrated: the plain sum")
    assert f"target {target}, batch 1" in said
    found = json.loads(lab.said(*sized, "--json"))
    assert (found["predicted_ms"], found["calibrated"]) == (8.0, False)
    assert "cannot read the network" in lab.refused("predict", "--config", str(tmp_path / "none"))


def test_a_prediction_says_what_to_know_before_going_by_it(lab: Lab, tmp_path: Path) -> None:
    network = farm.network([4, 5], "calibrated")
    file = tmp_path / "network.json"
    file.write_text(network.model_dump_json(), encoding="utf-8")
    lab.api.file(farm.job(network.operators, networks=(network,), rounds=1))
    lease = lab.api.claim(lab.device)
    lab.api.upload(farm.visits(lease, lab.device, rounds=1, ms={network.name: 10.0}))
    lab.api.release(lease)
    target = farm.identity().id
    lab.api.call("POST", f"/v1/targets/{target}/snapshots", {}, status=201)
    given = ("predict", "--config", str(file), "--target", target[:6])
    assert "  measured longer ago than the server trusts: " in lab.said(*given)
    assert "older than" not in lab.said(*given)
    lab.api.file(farm.job(network.operators[:1], rounds=1, remeasure=True))
    lease = lab.api.claim(lab.device)
    took = {network.operators[0].key: 3.0}
    lab.api.upload(farm.visits(lease, lab.device, rounds=1, ms=took))
    lab.api.release(lease)
    assert "  the calibration is older than 1 of the entries (stem-" in lab.said(*given)
