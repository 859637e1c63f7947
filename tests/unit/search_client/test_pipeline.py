from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from netspec.client import LatencyTable, NoTable, ProfilerClient
from netspec.errors import MissingEntries, UserError
from netspec.wire import Snapshot, Target
from search_client import pipeline as pipeline_module
from search_client.deployment.trained_network import trained_network_path
from search_client.pipeline import Pipeline
from search_client.progress import Stages
from search_client.recipe import read_recipe
from search_client.stages.deploy import Deployed
from search_client.stages.latency_tables import recorded
from tests import made_up
from tests.unit.search_client.tables import calibration, snapshot
from tests.unit.search_client.tiny import tiny_images
from tests.unit.search_client.tiny_run import QUIET, changed, tiny_search, tiny_table


class WithoutTable:
    """A client of a profiler that has published no table."""

    def latest_snapshot(self, target_id: str) -> Snapshot:
        raise NoTable(f"target {target_id} has no table")


class WithoutEntries:
    """A client of a profiler whose table has no entry."""

    def latest_snapshot(self, target_id: str) -> Snapshot:
        return snapshot({}).model_copy(update={"target_id": target_id})


@pytest.mark.parametrize("go", [Pipeline.run, Pipeline.search_only])
@pytest.mark.parametrize(
    ("client", "error"), [(WithoutTable, NoTable), (WithoutEntries, MissingEntries)]
)
def test_what_a_table_lacks_is_told_before_images_are_read_or_a_folder_is_made(
    go: Callable[[Pipeline], object], client: type, error: type[UserError], tmp_path: Path
) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "0.png").write_text("whoever reads this fails")
    pipeline = Pipeline(
        cast("ProfilerClient", client()),
        Target(id="ab" * 8, identity=made_up.identity(), entries=0, devices=1),
        read_recipe("demo"),
        tmp_path / "data",
        tmp_path / "run",
        Stages(Console(quiet=True)),
    )
    with pytest.raises(error):
        go(pipeline)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


class Reached(Exception):
    """The first network is to be trained."""


@pytest.mark.parametrize(("epochs", "goes_on"), [(1, True), (2, False)])
def test_a_resumed_run_takes_up_what_its_own_recipe_trained(
    epochs: int, goes_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrations = (calibration("float32", 1.0), calibration("int8", 1.0))
    calibrated = tiny_table().snapshot.model_copy(update={"calibrations": calibrations})
    tiny_search(tmp_path, tables=[LatencyTable(calibrated)])
    for role in ("searched", "baseline"):
        trained_network_path(tmp_path, role).touch()

    def deploy(*_: object, saved: Path, resume: bool, **_more: object) -> Deployed:
        assert (saved.exists(), resume) == (goes_on, goes_on)
        raise Reached

    monkeypatch.setattr(pipeline_module, "deploy", deploy)
    pipeline = Pipeline(
        cast("ProfilerClient", None),
        Target(id="ab" * 8, identity=made_up.identity(), entries=0, devices=1),
        changed(train={"epochs": epochs, "learning_rate": 0.02}),
        Path("d"),
        tmp_path,
        QUIET,
        resume=True,
        signals=False,
    )
    tables = recorded(tmp_path, pipeline.settings.operators())
    with pytest.raises(Reached):
        pipeline_module._every_stage(pipeline, tables, tiny_images(48), tiny_images(12))
    assert trained_network_path(tmp_path, "baseline").exists() is goes_on
