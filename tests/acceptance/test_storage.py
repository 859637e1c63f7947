"""A data folder that cannot be written: one line that says why and what to do, and exit code 2.

The commands run in namespaces of their own, where the folder is a small disk that is full or
read-only, or where they have no more rights than any user has.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE
from tests import forked, namespaces
from tests.acceptance.commands import TIMEOUT_S, environment

DISK_KB = 64
FULL = (
    f'mount -t tmpfs -o size={DISK_KB}k disk "$DISK" && head -c {DISK_KB}k /dev/zero >"$DISK/full"'
)
READ_ONLY = f'mount -t tmpfs -o size={DISK_KB}k,ro disk "$DISK"'
#: more than any user's own number
STRANGER = 54_321

SERVE = ("profiler-server", "serve", "--port", "0")
AGENT = ("device-agent", "run", "--profiler-url", "http://127.0.0.1:9")
DOCTOR = ("device-agent", "doctor", "127.0.0.1:9")
COMMANDS = [SERVE, AGENT, DOCTOR]


def _line_of(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command ended with."""
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("error: "), ended.stderr
    return last


def _variables(folder: Path) -> dict[str, str]:
    return environment(**{DATA_DIR_VARIABLE: str(folder), TOKEN_VARIABLE: "any"})


def _with_disk(preparation: str, folder: Path) -> str:
    """Shell commands that make a disk of the folder; without a namespace for it, a skip."""
    if why := namespaces.why_none("--mount", "--map-root-user"):
        pytest.skip(f"no namespace for a disk: {why}")
    folder.mkdir()
    return f"DISK={shlex.quote(str(folder))}; {preparation}"


def _on_disk(preparation: str, command: Sequence[str], folder: Path) -> str:
    """The one line of a command whose data folder is a small disk."""
    prepare = partial(namespaces.mount, _with_disk(preparation, folder))
    return _line_of(forked.run(*command, variables=_variables(folder), prepare=prepare))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk(command: tuple[str, ...], tmp_path: Path) -> None:
    line = _on_disk(FULL, command, tmp_path / "data")
    assert "no space is left on the disk" in line
    assert f"free some, or name another folder with {DATA_DIR_VARIABLE}" in line


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_read_only_folder(command: tuple[str, ...], tmp_path: Path) -> None:
    line = _on_disk(READ_ONLY, command, tmp_path / "data")
    assert str(tmp_path / "data") in line
    assert f"or name another folder with {DATA_DIR_VARIABLE}" in line


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_another_users_folder(command: tuple[str, ...], tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's folder")
    # Root of a namespace has no right to files of users whom the namespace does not know.
    if why := namespaces.why_none("--map-root-user"):
        pytest.skip(f"no namespace of users: {why}")
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, STRANGER, STRANGER)
    prepare = namespaces.leave_rights
    line = _line_of(forked.run(*command, variables=_variables(folder), prepare=prepare))
    assert f"({folder} belongs to the user " in line
    assert f"or name another folder with {DATA_DIR_VARIABLE}" in line


SAVES = """
import sys
from pathlib import Path
import torch, typer
from netspec.console.command import run
from search_client.training.checkpoints import save

app = typer.Typer()

@app.command()
def train(file: Path) -> None:
    try:
        save({"weights": torch.zeros(100_000)}, file)
    finally:
        print(sorted(path.name for path in file.parent.iterdir()))

run(app)
"""


def test_a_disk_that_fills_while_a_checkpoint_is_saved(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with_room = FULL.replace(f"size={DISK_KB}k", f"size={4 * DISK_KB}k")
    commands = f'set -e; {_with_disk(with_room, folder)}; exec "$@"'
    shell = ("unshare", "--mount", "--map-root-user", "sh", "-c", commands, "sh")
    ended = subprocess.run(
        [*shell, sys.executable, "-c", SAVES, str(folder / "weights.pt")],
        env=_variables(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert _line_of(ended).startswith("error: no space is left on the disk for ")
    assert ended.stdout == "['full']\n"


def test_a_home_that_cannot_be_written_is_not_spoken_of() -> None:
    draws = "import search_client.report.figures.canvas"
    home = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), "/dev/null")
    ended = subprocess.run(
        [sys.executable, "-c", draws],
        env=environment(MPLCONFIGDIR="", **home),
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    assert (ended.stdout, ended.stderr) == ("", "")


def test_a_disk_that_fills_during_the_demo(tmp_path: Path) -> None:
    run_folder = str(tmp_path / "data" / "run")
    demo = ("search-client", "demo", "--port", "0", "--run", run_folder)
    with_room = FULL.replace(f"size={DISK_KB}k", "size=1000k")
    line = _on_disk(with_room, demo, tmp_path / "data")
    assert "no space is left on the disk" in line
