"""MLflow and Weights & Biases as pip installs them, told the curves of a search; nothing is online.

They are installed beside what this environment has, into one of their own: thirty packages that no
other test needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from netspec.client import LatencyTable
from search_client.recipe import read_recipe
from tests.acceptance.commands import environment, write_data, write_recipe
from tests.integration.wheel.places import ROOT
from tests.integration.wheel.registry import skip_without_registry
from tests.unit.search_client.tables import calibration, costs_around_the_baseline, snapshot

pytestmark = pytest.mark.nightly

_COMMAND = "from search_client.cli import main; main()"
#: prints what each run of MLflow's store holds
_READ_MLFLOW = """
import json
from mlflow import MlflowClient

client = MlflowClient()
(experiment,) = [one for one in client.search_experiments() if one.name == "proxyless-farm"]
runs = []
for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"]):
    curves = {
        name: [point.step for point in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    told = {"status": run.info.status, "params": run.data.params, "curves": curves}
    runs.append({**told, "command": run.data.tags["command"]})
print(json.dumps(runs))
"""
#: prints what a run's file of Weights & Biases holds: LevelDB's log format behind seven bytes, of
#: which blocks of 32 KiB hold parts of records, each part behind its checksum, length and place
_READ_WANDB = """
import json, struct, sys
from pathlib import Path
from wandb.proto.wandb_internal_pb2 import Record

def records(content, at=7, block=1 << 15, head=7):
    whole = b""
    while at + head <= len(content):
        if block - at % block < head:
            at += block - at % block
            continue
        _, length, place = struct.unpack_from("<IHB", content, at)
        whole += content[at + head : at + head + length]
        at += head + length
        if place in (1, 4):
            yield whole
            whole = b""

names, config, exit_code, project = set(), {}, None, None
for data in records(Path(sys.argv[1]).read_bytes()):
    record = Record()
    record.ParseFromString(data)
    for item in record.history.item:
        names.add(item.key or "/".join(item.nested_key))
    for item in record.run.config.update:
        config[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    project = record.run.project or project
    if record.HasField("exit"):
        exit_code = record.exit.exit_code
print(json.dumps([sorted(names), config, exit_code, project]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has both, and all that this one has."""
    folder = tmp_path_factory.mktemp("loggers")
    skip_without_registry(folder)
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    made = str(folder / "environment" / "bin" / "python")
    asked = [made, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.check_output(asked, text=True).strip())
    # Behind its own: torch, for one, is there and is not installed again.
    (packages / "beside.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    options = ["--quiet", "--disable-pip-version-check"]
    options += ["--constraint", str(ROOT / "constraints.txt")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*extras["mlflow"], *extras["wandb"]]
    subprocess.run([made, "-m", "pip", "install", *options, *wanted], check=True)
    assert not (packages / "torch").exists()
    return made


def _run(python: str, folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *map(str, words)],
        env=environment(PYTHONPATH=str(ROOT), HOME=str(folder), OMP_NUM_THREADS="1"),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _read(python: str, folder: Path, *words: str | Path) -> Any:
    ended = _run(python, folder, "-c", *words)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_search_and_a_failure_are_kept_by_both(python: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "tiny.toml")
    settings = read_recipe(str(recipe)).for_classes(10)
    calibrations = [calibration("float32", 1.1), calibration("int8", 1.2)]
    costs = costs_around_the_baseline(settings)
    LatencyTable(snapshot(costs, calibrations)).save(tmp_path / "table.json")
    table = str(tmp_path / "table.json")
    given = ["search", "--recipe", str(recipe), "--only-search", "--snapshot", table]
    given += ["--log", "mlflow", "--log", "wandb", "--run", str(tmp_path / "mine")]
    data = write_data(tmp_path / "data")
    ended = _run(python, tmp_path, "-c", _COMMAND, *given, "--data", data)
    assert ended.returncode == 0, ended.stderr
    # A folder without images: the command fails while both are open.
    failed = _run(
        python, tmp_path, "-c", _COMMAND, *given, "--overwrite", "--data", tmp_path / "mine"
    )
    assert failed.returncode == 2, failed.stderr

    finished, broken = _read(python, tmp_path, _READ_MLFLOW)
    assert (finished["status"], finished["command"]) == ("FINISHED", "search")
    assert finished["params"]["search.joint_epochs"] == "2"
    assert max(finished["curves"]["search/loss"]) > 1
    assert "search/expected_ms" in finished["curves"]
    assert (broken["status"], broken["curves"]) == ("FAILED", {})

    files = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    outcomes = [_read(python, tmp_path, _READ_WANDB, file) for file in files]
    assert sorted(exit_code for _, _, exit_code, _ in outcomes) == [0, 1]
    names, config, _, project = next(outcome for outcome in outcomes if outcome[2] == 0)
    assert {"search/loss", "search/expected_ms", "search/step"} <= set(names)
    assert config["search"]["joint_epochs"] == 2
    assert project == "proxyless-farm"
