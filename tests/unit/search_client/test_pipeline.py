from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from netspec.client import NoTable, ProfilerClient
from netspec.wire import Target
from search_client.pipeline import run, search_only
from search_client.progress import Stages
from search_client.recipe import read_recipe
from tests import made_up


class WithoutTable:
    """A client of a profiler that has published no table."""

    def latest_snapshot(self, target_id: str) -> None:
        raise NoTable(f"target {target_id} has no table")


@pytest.mark.parametrize("job", [run, search_only])
def test_a_missing_table_is_told_before_images_are_read_or_a_folder_is_made(
    job: object, tmp_path: Path
) -> None:
    assert callable(job)
    with pytest.raises(NoTable, match="has no table"):
        job(
            cast("ProfilerClient", WithoutTable()),
            Target(id="ab" * 8, identity=made_up.identity(), entries=0, devices=1),
            read_recipe("demo"),
            tmp_path / "no-images",
            tmp_path / "run",
            Stages(Console(quiet=True)),
        )
    assert list(tmp_path.iterdir()) == []
