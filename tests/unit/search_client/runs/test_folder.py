"""A run's folder: one process at a time, and nothing in it replaced unasked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from search_client.runs.folder import FolderInUse, claimed
from search_client.runs.record import RECORD


def test_a_folder_that_holds_a_run_is_kept(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("a run", encoding="ascii")
    with (
        pytest.raises(FolderInUse, match=r"holds a run already: --resume .* --overwrite"),
        claimed(tmp_path, resume=False, overwrite=False),
    ):
        pass
    assert (tmp_path / RECORD).read_text(encoding="ascii") == "a run"


@pytest.mark.parametrize(("resume", "overwrite"), [(True, False), (False, True)])
def test_asked_for_it_is_taken(tmp_path: Path, resume: bool, overwrite: bool) -> None:
    (tmp_path / RECORD).write_text("a run", encoding="ascii")
    with claimed(tmp_path, resume=resume, overwrite=overwrite):
        pass


def test_two_processes_do_not_run_in_one_folder(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from search_client.runs.folder import claimed\n"
        "with claimed(Path(sys.argv[1]), resume=True, overwrite=True):\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with (
            pytest.raises(FolderInUse, match=rf"process {other.pid} runs in"),
            claimed(tmp_path, resume=True, overwrite=False),
        ):
            pass
        other.communicate("")
    with claimed(tmp_path, resume=False, overwrite=False):
        pass
