"""A search on a saved snapshot, with no profiler anywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from netspec.client import LatencyTable, Offline
from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from netspec.errors import MissingEntries, UserError
from netspec.networks import Network
from search_client.cli import app
from search_client.recipe import read_recipe
from search_client.runs.record import read_record
from tests.acceptance.commands import environment, write_data, write_recipe
from tests.unit.search_client.tables import calibration, costs_around_the_baseline, snapshot

CLASSES = 10
CLUSTER = Path(__file__).parents[3] / "docs" / "how-to" / "cluster.md"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def given(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of a search of seconds; the folder of tokens is empty, and nobody listens."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "profiler"))
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:9")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    recipe = write_recipe(tmp_path / "tiny.toml")
    settings = read_recipe(str(recipe)).for_classes(CLASSES)
    costs = costs_around_the_baseline(settings)
    table = snapshot(costs, [calibration("float32", 1.1), calibration("int8", 1.2)])
    LatencyTable(table).save(tmp_path / "table.json")
    named = {"data": photos, "recipe": recipe, "run": tmp_path / "run"}
    options = [word for name, path in named.items() for word in (f"--{name}", str(path))]
    return ["search", *options, "--snapshot", str(tmp_path / "table.json")]


def test_a_saved_snapshot_is_all_that_a_search_needs(given: list[str], tmp_path: Path) -> None:
    said = CliRunner().invoke(app, [*given, "--only-search", "--json"], catch_exceptions=False)
    assert said.exit_code == 0
    found = json.loads(said.stdout)
    table = LatencyTable.from_file(tmp_path / "table.json")
    network = Network.model_validate(found["network"])
    assert found["latency_ms"] == [pytest.approx(table.predict_ms(network))]
    assert Network.model_validate_json(Path(found["file"]).read_bytes()) == network
    assert "Search 8 blocks" in said.stderr


@pytest.mark.parametrize("lacks", ["classifier", "head and stem"])
def test_parts_that_no_choice_changes_never_block_a_search(
    given: list[str], tmp_path: Path, lacks: str
) -> None:
    saved = LatencyTable.from_file(tmp_path / "table.json").snapshot
    left = [entry for entry in saved.entries if entry.name.partition("-")[0] not in lacks.split()]
    assert len(left) < len(saved.entries)
    LatencyTable(saved.model_copy(update={"entries": tuple(left)})).save(tmp_path / "table.json")
    known = {entry.name: entry.value_ms for entry in left}
    settings = read_recipe(given[given.index("--recipe") + 1]).for_classes(CLASSES)
    (space,) = settings.spaces("int8")
    reachable = space.network([0] * len(space.blocks)).operators
    aim = 1.2 * sum(known.get(operator.key, 0.0) for operator in reachable)
    options = [*given, "--only-search", "--json", "--latency-ref", f"{aim}ms"]
    said = CliRunner().invoke(app, options, catch_exceptions=False)
    assert said.exit_code == 0
    assert "which every network has: it is left out of all latencies" in said.stderr.replace(
        "\n", " "
    )
    (target,) = read_record(tmp_path / "run").targets
    assert {key.partition("-")[0] for key in target.assumed_ms} <= set(lacks.split())
    assert set(target.assumed_ms.values()) == {0.0}
    found = json.loads(said.stdout)
    operators = Network.model_validate(found["network"]).operators
    expected = 1.2 * sum(known.get(operator.key, 0.0) for operator in operators)
    assert found["latency_ms"] == [pytest.approx(expected)]
    again = CliRunner().invoke(app, [*options, "--resume"], catch_exceptions=False)
    assert again.exit_code == 0


def test_a_part_that_a_choice_changes_is_still_missing(given: list[str], tmp_path: Path) -> None:
    saved = LatencyTable.from_file(tmp_path / "table.json").snapshot
    left = [entry for entry in saved.entries if "kernel:5" not in entry.name]
    LatencyTable(saved.model_copy(update={"entries": tuple(left)})).save(tmp_path / "table.json")
    with pytest.raises(MissingEntries):
        CliRunner().invoke(app, [*given, "--only-search"], catch_exceptions=False)


def test_a_search_of_several_processes_is_only_that(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search_client.training.distributed.world", lambda: 2)
    monkeypatch.setenv(TOKEN_VARIABLE, "none")
    online = given[: given.index("--snapshot")]
    with pytest.raises(UserError, match="several processes only search; add --only-search"):
        CliRunner().invoke(app, online, catch_exceptions=False)


def test_torchrun_starts_a_search_as_the_docs_say(given: list[str], tmp_path: Path) -> None:
    (said,) = re.findall(r"^torchrun .* search --only-search", CLUSTER.read_text(), re.MULTILINE)
    words = said.replace("-per-node 8", "-per-node 2").split()
    assert words[-2:] == ["search", "--only-search"]
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:], *given[1:]]
    variables = environment(OMP_NUM_THREADS="1", PATH=f"{Path(sys.executable).parent}:/usr/bin")
    ended = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    # One of the processes speaks for both.
    assert ended.stdout.count("Found: ") == 1
    record = read_record(tmp_path / "run")
    assert record.processes == 2
    assert record.found is not None


def test_a_resume_asks_for_the_same_search(given: list[str], tmp_path: Path) -> None:
    searched = [*given, "--only-search", "--json"]
    first = CliRunner().invoke(app, searched, catch_exceptions=False)
    began = read_record(tmp_path / "run").started_at
    # Another table since: the search goes on with its own.
    table = LatencyTable.from_file(tmp_path / "table.json").snapshot
    LatencyTable(table.model_copy(update={"id": "ef" * 32})).save(tmp_path / "table.json")
    again = CliRunner().invoke(app, [*searched, "--resume"], catch_exceptions=False)
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert read_record(tmp_path / "run").started_at == began
    with pytest.raises(UserError, match=r"latency_ref_ms was None and is 3\.0"):
        CliRunner().invoke(
            app, [*searched, "--resume", "--latency-ref", "3ms"], catch_exceptions=False
        )


def test_a_published_table_is_searched_in_its_precision_with_a_notice(
    given: list[str], tmp_path: Path
) -> None:
    # As an imported table: one precision, no baseline, no calibration.
    table = LatencyTable.from_file(tmp_path / "table.json").snapshot
    recipe = read_recipe(str(tmp_path / "tiny.toml"), ["precision=float32", "latency_ref_ms=2"])
    needed = {one.key for one in recipe.for_classes(CLASSES).searched_operators()}
    entries = tuple(entry for entry in table.entries if entry.name in needed)
    imported = table.model_copy(update={"entries": entries, "calibrations": ()})
    LatencyTable(imported).save(tmp_path / "table.json")
    plain = [*given, "--only-search", "--json", "--set", "precision=float32"]
    said = CliRunner().invoke(app, [*plain, "--latency-ref", "2ms"], catch_exceptions=False)
    network = Network.model_validate(json.loads(said.stdout)["network"])
    values_ms = LatencyTable(imported).values_ms(network.operators)
    assert json.loads(said.stdout)["latency_ms"] == [pytest.approx(sum(values_ms))]
    assert "has no float32 calibration: latencies are plain sums" in " ".join(said.stderr.split())
    with pytest.raises(MissingEntries):
        CliRunner().invoke(app, [*plain, "--overwrite"], catch_exceptions=False)


def test_it_measures_nothing(given: list[str]) -> None:
    with pytest.raises(UserError, match="add --only-search"):
        CliRunner().invoke(app, given, catch_exceptions=False)
    with pytest.raises(Offline, match=r"table\.json answers no POST /v1/jobs"):
        CliRunner().invoke(
            app, [*given, "--only-search", "--profile-missing"], catch_exceptions=False
        )
