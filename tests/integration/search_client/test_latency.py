"""`search-client latency` and `ProfilerClient.measure` by a real server and agent."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from netspec.client import (
    AsyncProfilerClient,
    InvalidModel,
    JobFailed,
    NoAgent,
    NoPrediction,
    ProfilerClient,
    UnknownId,
    model_calls,
)
from netspec.console.tokens import server_tokens
from netspec.tflite import encode
from netspec.wire import Job
from search_client.progress import Stages
from search_client.stages.measure_file import measure_file
from tests.acceptance.commands import run
from tests.integration.device_agent.models import block, block_file, undelegated_bytes
from tests.integration.device_agent.processes import Farm

ROUNDS = 4


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    made = Farm(tmp_path_factory.mktemp("farm") / "data", {"PROFILER_RETRY_BACKOFF_S": "0"})
    made.start_server()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(farm: Farm) -> Farm:
    """With an agent that goes on measuring."""
    farm.run_agent()  # makes the target known
    farm.start_agent()
    return farm


def client(farm: Farm) -> ProfilerClient:
    return ProfilerClient(farm.url, token_of(farm))


def token_of(farm: Farm) -> str:
    return server_tokens(farm.url, farm.folder)[0]


def test_a_profiler_without_targets_says_what_to_start(farm: Farm, tmp_path: Path) -> None:
    with client(farm) as asked, pytest.raises(UnknownId, match="start `device-agent run`"):
        asked.measure(block_file(tmp_path))


def test_a_model_is_measured_once_and_known_from_then_on(served: Farm, tmp_path: Path) -> None:
    file = block_file(tmp_path, size=32)
    seen: list[Job] = []
    with client(served) as asked:
        measured = asked.measure(file, rounds=ROUNDS, on_progress=seen.append)
        again = asked.measure(file, rounds=ROUNDS)
        (target,) = asked.targets()
    assert (measured.name, measured.target.id) == (file.name, target.id)
    assert 0 < measured.low_ms <= measured.value_ms <= measured.high_ms
    assert (measured.visits, measured.reused) == (ROUNDS, False)
    assert (again.value_ms, again.visits, again.reused) == (measured.value_ms, ROUNDS, True)
    assert measured.delegation == "full"
    assert measured.load_ms is not None
    assert measured.load_ms > 0
    assert measured.first_inference_ms is not None
    # The first run fills the caches that the counted ones find filled.
    assert measured.first_inference_ms > measured.value_ms
    # A depthwise layer between two of 1x1 px, which are matrix products, and the shortcut.
    assert [kernel.kind.split(" (")[0] for kernel in measured.kernels] == [
        "Fully Connected",
        "Convolution",
        "Fully Connected",
        "Add",
    ]
    assert sum(kernel.share for kernel in measured.kernels) == pytest.approx(1)
    assert measured.peak_memory_bytes is not None
    assert 0 < measured.peak_memory_bytes < 2**30
    # Profiles are told in whole us: the addition may take none.
    assert max(kernel.ms for kernel in measured.kernels) > 0
    assert [job.visits_done for job in seen] == sorted(job.visits_done for job in seen)
    assert seen[-1].state == "done"


def test_the_same_from_an_event_loop(served: Farm, tmp_path: Path) -> None:
    token = token_of(served)

    async def measured_ms() -> float:
        async with AsyncProfilerClient(served.url, token) as asked:
            return (await asked.measure(block_file(tmp_path, size=16), rounds=ROUNDS)).value_ms

    assert asyncio.run(measured_ms()) > 0


def run_undisturbed(name: str, *arguments: str | Path, **variables: str) -> CompletedProcess[str]:
    """Run a command, again where this machine was too busy for its visits to be accepted."""
    for _ in range(3):
        said = run(name, *arguments, **variables)
        if "visits are accepted" not in said.stderr:
            break
    return said


def test_the_command_prints_it_for_people_and_for_programs(served: Farm, tmp_path: Path) -> None:
    file = block_file(tmp_path, "int8", size=32)
    token = token_of(served)
    given = {"PROFILER_URL": served.url, "PROFILER_TOKEN": token}
    said = run_undisturbed(
        "search-client", "latency", file, "--rounds", str(ROUNDS), "--json", **given
    )
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert 0 < found["low_ms"] <= found["value_ms"] <= found["high_ms"]
    target_id = found["target"]["id"]
    said = run_undisturbed(
        "search-client",
        "latency",
        file,
        "--rounds",
        str(ROUNDS),
        "--target",
        target_id[:6],
        **given,
    )
    assert said.returncode == 0, said.stderr
    assert f"{file.name}: " in said.stdout
    assert f"{ROUNDS} visits (measured before)" in said.stdout
    assert f"target {target_id}" in said.stdout
    assert "xnnpack runs the whole graph" in said.stdout
    assert "first inference: " in said.stdout
    assert "Convolution" in said.stdout
    words = ("search-client", "repeatability", "--target", target_id[:6])
    said = run_undisturbed(*words, **given)
    assert said.returncode == 0, said.stderr
    assert "no job has measured anything again" in said.stdout
    assert json.loads(run_undisturbed(*words, "--json", **given).stdout)["subjects"] == 0


def test_a_model_that_the_delegate_runs_in_part_is_measured_and_says_what_is_left(
    served: Farm, tmp_path: Path
) -> None:
    file = tmp_path / "partly.tflite"
    file.write_bytes(undelegated_bytes(partly=True))
    given = {"PROFILER_URL": served.url, "PROFILER_TOKEN": token_of(served)}
    words = ("latency", file, "--rounds", "1")
    said = run_undisturbed("search-client", *words, **given)
    assert said.returncode == 0, said.stderr
    assert (
        "xnnpack runs a part of the graph: 1 of 2 operators (50%) are left to other kernels: "
        "1 LOCAL_RESPONSE_NORM" in said.stdout
    )
    found = json.loads(run_undisturbed("search-client", *words, "--json", **given).stdout)
    assert found["value_ms"] > 0
    assert (found["delegation"], found["operators"], found["delegated"]) == ("partial", 2, 1)
    (kind,) = found["undelegated"]
    assert kind.startswith("LOCAL_RESPONSE_NORM")
    assert found["who_runs"] in said.stdout


def test_a_model_of_which_the_delegate_runs_nothing_says_so(served: Farm, tmp_path: Path) -> None:
    file = tmp_path / "nothing.tflite"
    file.write_bytes(undelegated_bytes(partly=False))
    with client(served) as asked, pytest.raises(JobFailed, match="took nothing of the graph"):
        asked.measure(file, rounds=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the model"),
        (b"PK\x03\x04 archive", "is no .tflite file"),
        (b"", "is no"),
    ],
)
def test_what_is_no_model_is_never_sent(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "model.tflite"
    if content is not None:
        file.write_bytes(content)
    # Nobody listens there: the file is looked at first.
    asked = ProfilerClient("http://127.0.0.1:9", "token")
    with asked, pytest.raises(InvalidModel, match=message):
        asked.measure(file)


def test_an_agent_that_dies_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_calls, "LOOK_EVERY_S", 0.0)
    farm = Farm(tmp_path / "data")
    try:
        farm.start_server()
        farm.run_agent()
        agent = farm.start_agent()

        def kill(job: Job) -> None:
            if job.visits_done:
                agent.kill()
                monkeypatch.setattr(model_calls, "SILENT_S", 0.0)

        with client(farm) as asked:
            with pytest.raises(NoAgent, match=r"was last seen .*; start `device-agent run` on "):
                asked.measure(block_file(tmp_path, size=32), rounds=1_000, on_progress=kill)
            (job,) = asked.jobs()
        assert job.state == "cancelled"
        assert 0 < job.visits_done < job.visits
    finally:
        farm.close()


def test_a_target_that_no_agent_serves_is_not_waited_for(tmp_path: Path) -> None:
    farm = Farm(tmp_path / "data")
    try:
        farm.start_server()
        farm.run_agent()
        long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
        with closing(sqlite3.connect(farm.folder / "profiler.db")) as database:
            database.execute("UPDATE devices SET last_seen = ?", [f"{long_ago}"])
            database.commit()
        with client(farm) as asked:
            with pytest.raises(NoAgent, match=r"was last seen .*; start `device-agent run` on "):
                asked.measure(block_file(tmp_path))
            assert [job.state for job in asked.jobs()] == ["cancelled"]
    finally:
        farm.close()


def test_a_file_is_predicted_from_what_its_target_has(served: Farm, tmp_path: Path) -> None:
    """And where that has nothing like it, `profile --model` measures what the file needs."""
    size, blocks = 16, 2
    first = block(size=size)
    operators = [first, *(block(size=size).model_copy(update={"kernel": 5}),) * blocks]
    file = tmp_path / "chain.tflite"
    file.write_bytes(encode(operators))
    given = {"PROFILER_URL": served.url, "PROFILER_TOKEN": token_of(served)}
    with client(served) as asked, pytest.raises(NoPrediction, match=r"nothing like \d+ of the"):
        asked.predict_model(file)
    with client(served) as asked:
        measured = measure_file(asked, file, None, Stages(quiet=True), rounds=1)
        assert measured.prediction.predicted == ()
        assert not asked.model_pieces(file).lacking()
    said = run("search-client", "latency", file, "--predict", "--json", **given)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert [piece["key"] for piece in found["pieces"]] == [one.key for one in operators]
    assert {piece["state"] for piece in found["pieces"]} == {"measured"}
    assert found["predicted_share"] == 0
    assert 0 < found["low_ms"] <= found["predicted_ms"] <= found["high_ms"]
    # The rest of MobileNetV2, on which the table was calibrated, tells of a block like it.
    other = tmp_path / "other.tflite"
    other.write_bytes(encode([block(channels=16, size=size)]))
    said = run("search-client", "latency", other, "--predict", **given)
    assert said.returncode == 0, said.stderr
    assert "1 predicted from others: 100.0% of the sum" in said.stdout
    assert "95 % interval" in said.stdout


def test_what_is_no_network_of_layers_is_refused_before_anyone_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "strange.tflite"
    file.write_bytes(undelegated_bytes(partly=False))
    # Nobody listens there.
    given = {"PROFILER_URL": "http://127.0.0.1:9", "PROFILER_TOKEN": "token"}
    said = run("search-client", "latency", file, "--predict", **given)
    assert said.returncode == 2
    assert f"{file}: operator 0 (LOCAL_RESPONSE_NORMALIZATION) is no layer" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1
    said = run("search-client", "profile", "--model", file, "--method", "in_network", **given)
    assert said.returncode == 2
    assert "leave --set and --method out" in said.stderr
