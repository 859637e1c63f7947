import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from device_agent.host.identity import host_device
from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE
from netspec.errors import ProfilerRefused
from netspec.networks import Network
from netspec.protocol import MeasurementProtocol
from netspec.wire import JobRequest, ModelSubject, TargetSelector
from tests.forked import run
from tests.integration.device_agent.models import block, undelegated_bytes
from tests.integration.device_agent.processes import Farm
from tests.waiting import wait_for

TARGET_ID = host_device(MeasurementProtocol()).identity.id
#: some 40 ms a visit
MANY = 60


def blocks_job(rounds: int) -> JobRequest:
    return JobRequest(
        name="blocks",
        target_id=TARGET_ID,
        operators=(block(8), block(8, "int8"), block(16)),
        rounds=rounds,
    )


def upload(farm: Farm, content: bytes, name: str) -> ModelSubject:
    digest = hashlib.sha256(content).hexdigest()
    with farm.http() as http:
        http.request("PUT", f"/v1/models/{digest}", body=content)
    return ModelSubject(sha256=digest, name=name)


def test_a_job_of_everything_is_measured_and_what_cannot_be_is_explained(farm: Farm) -> None:
    farm.register_host()
    network = Network(name="two blocks", operators=(block(8), block(8)))
    undelegated = upload(farm, undelegated_bytes(partly=False), "undelegated")
    corrupt = upload(farm, b"\x1c\x00\x00\x00TFL3" + bytes(64), "corrupt")
    job = farm.file(
        JobRequest(
            name="everything",
            target_id=TARGET_ID,
            operators=(block(8), block(8, "int8")),
            networks=(network,),
            models=(undelegated, corrupt),
            rounds=4,
        )
    )
    log = farm.run_agent()
    job = farm.job(job)
    assert (job.tasks, job.tasks_done, job.tasks_failed, job.visits_done) == (5, 3, 2, 12)
    reasons = {failure.subject: failure.reason for failure in job.failures}
    assert any("XNNPACK took nothing of the graph" in reason for reason in reasons.values())
    assert any("LiteRT refused the model" in reason for reason in reasons.values())
    assert farm.visits_stored() == 12
    assert farm.visits_spooled() == 0
    assert "Traceback" not in log


def test_a_job_that_wants_more_runs_is_measured_once_an_agent_offers_them(farm: Farm) -> None:
    farm.register_host()
    wanted = JobRequest(
        name="many runs", select=TargetSelector(runs=64), operators=(block(8),), rounds=2
    )
    with pytest.raises(ProfilerRefused, match="10 runs and 5 ms of warm-up"):
        farm.file(wanted)
    farm.run_agent("--runs", "64", "--warmup-ms", "1")
    job = farm.file(wanted)
    assert job.target_id != TARGET_ID
    farm.run_agent()
    assert farm.visits_stored() == 0, "the other target's agent has no work"
    farm.run_agent("--runs", "64", "--warmup-ms", "1")
    assert farm.job(job).state == "done"
    with closing(sqlite3.connect(farm.folder / "profiler.db")) as database:
        rows = database.execute("SELECT target_id, count FROM visits").fetchall()
    assert {target_id for target_id, _ in rows} == {job.target_id}
    assert min(count for _, count in rows) >= 64


def test_until_idle_outlasts_the_rests_of_what_failed(farm: Farm) -> None:
    farm.kill_server()
    farm.settings["PROFILER_RETRY_BACKOFF_S"] = "1"
    farm.start_server()
    farm.register_host()
    undelegated = upload(farm, undelegated_bytes(partly=False), "undelegated")
    job = farm.file(JobRequest(name="fails", target_id=TARGET_ID, models=(undelegated,)))
    log = farm.run_agent()
    assert farm.job(job).state == "failed"
    assert log.count("rests after a failure, or another device is at it") >= 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_batch_loses_nothing(
    farm: Farm, number: signal.Signals
) -> None:
    farm.register_host()
    job = farm.file(blocks_job(MANY))
    agent = farm.start_agent()
    wait_for(lambda: farm.visits_spooled() > 5)
    agent.send_signal(number)
    log = agent.wait().stderr
    assert agent.returncode == 0, log
    made = farm.visits_stored()
    assert 5 < made < 3 * MANY
    assert farm.visits_spooled() == 0
    assert farm.job(job).visits_done == made
    assert "unfinished=3" in log

    # The lease was handed back, so the next agent goes on at once where this one stopped.
    next_agent = farm.start_agent()
    wait_for(lambda: farm.visits_stored() + farm.visits_spooled() > made)
    next_agent.send_signal(number)
    next_agent.wait()
    assert farm.job(job).visits_done == farm.visits_stored() > made


def test_visits_of_a_killed_agent_are_uploaded_by_the_next(farm: Farm) -> None:
    farm.register_host()
    job = farm.file(blocks_job(MANY))
    agent = farm.start_agent()
    wait_for(lambda: farm.visits_spooled() > 5)
    agent.kill()
    made = farm.visits_spooled() + farm.visits_stored()
    assert farm.visits_spooled() > 0
    with farm.http() as http:
        http.request("POST", f"/v1/jobs/{job.id}:cancel")  # else the next one goes on with it
    log = farm.run_agent()
    assert farm.visits_spooled() == 0
    # The visit in flight may have reached the spool or not; none that did is lost.
    assert farm.visits_stored() == made, log


def test_a_server_that_is_restarted_gets_every_visit(farm: Farm) -> None:
    farm.register_host()
    job = farm.file(blocks_job(40))
    agent = farm.start_agent("--until-idle")
    wait_for(lambda: farm.visits_stored() > 0)
    farm.kill_server()
    before = farm.visits_stored()
    wait_for(lambda: farm.visits_spooled() > 20)
    farm.start_server()
    log = agent.wait().stderr
    assert agent.returncode == 0, log
    assert before < 120
    assert farm.job(job).state == "done"
    assert farm.visits_accepted() == 120
    assert farm.visits_spooled() == 0


def test_a_cancelled_job_is_dropped(farm: Farm) -> None:
    farm.register_host()
    job = farm.file(blocks_job(1_000))
    agent = farm.start_agent("--until-idle")
    wait_for(lambda: farm.visits_spooled() > 0)
    with farm.http() as http:
        http.request("POST", f"/v1/jobs/{job.id}:cancel")
    log = agent.wait().stderr
    assert agent.returncode == 0, log
    assert farm.visits_stored() < 3_000
    assert farm.visits_spooled() == 0


def test_a_second_agent_on_the_device_is_turned_away(farm: Farm) -> None:
    first = farm.start_agent()
    wait_for(lambda: list(farm.folder.glob("agent-*.lock")))
    wait_for(lambda: "registered" in first.stderr)
    second = farm.start_agent()
    said = second.wait().stderr
    assert second.returncode == 2
    assert len(said.strip().splitlines()) == 1
    assert f"another agent (process {first.pid})" in said


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {DATA_DIR_VARIABLE: str(folder), "PATH": "", **variables}
    return run("device-agent", *arguments, variables=environment)


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["run"], {}, "no token for http://127.0.0.1:8600: set PROFILER_TOKEN"),
        (
            ["run", "--profiler-url", "http://127.0.0.1:9"],
            {TOKEN_VARIABLE: "t"},
            "no profiler answers at http://127.0.0.1:9",
        ),
        (["run", "--core", "5000"], {TOKEN_VARIABLE: "t"}, "5000"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], says: str
) -> None:
    ended = command(tmp_path, *arguments, **variables)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_wrong_token_is_one_line(farm: Farm) -> None:
    ended = command(farm.folder, "run", "--profiler-url", farm.url, **{TOKEN_VARIABLE: "wrong"})
    assert ended.returncode == 2
    assert "refused the token" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_devices_prints_this_machine(tmp_path: Path) -> None:
    identity = host_device(MeasurementProtocol()).identity
    assert identity.id in command(tmp_path, "devices").stdout
    printed = command(tmp_path, "devices", "--json").stdout
    assert type(identity).model_validate(json.loads(printed)["host"]) == identity


def test_the_agent_imports_no_heavy_library() -> None:
    script = """
import sys
import device_agent.cli
heavy = {"torch", "fastapi", "sqlalchemy", "matplotlib", "ai_edge_litert.interpreter"}
sys.exit(", ".join(heavy & set(sys.modules)) or 0)
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == 0
