"""`scripts/environment`: what it installs, and what it says where that cannot be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import namespaces
from tests.integration.deployment import tiny_wheels
from tests.integration.deployment.tiny_wheels import EXTRAS, write_wheel

ROOT = Path(__file__).parents[3]
DEMO = {"whole": "1", "part-server": "1", "part-agent": "1", "part-search": "1"}
ALL = {**DEMO, "part-dev": "1", "part-docs": "1"}
#: nothing listens on the discard port
NO_REGISTRY = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project with one tiny package an extra, each in two versions, and the real script."""
    return project(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with what a demo needs; tests change it, the last one moves it."""
    checkout = project(tmp_path_factory.mktemp("installed"))
    assert environment(checkout, "demo").returncode == 0
    assert packages(checkout) == DEMO
    return checkout


def project(tmp_path: Path) -> Path:
    """Make the project in a folder."""
    folder = tmp_path / "project"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "environment", folder / "scripts")
    shutil.copy(tiny_wheels.__file__, folder)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "tiny_wheels"\nbackend-path = ["."]\n',
        encoding="utf-8",
    )
    (tmp_path / "index").mkdir()
    for extra in EXTRAS:
        for version in ("1", "2"):
            write_wheel(tmp_path / "index", f"part-{extra}", version)
    pin(folder, "1")
    return folder


def pin(checkout: Path, version: str) -> None:
    """Write the constraints of all tiny packages."""
    lines = "".join(f"part-{extra}=={version}\n" for extra in EXTRAS)
    (checkout / "constraints.txt").write_text(lines, encoding="utf-8")


def environment(
    checkout: Path, *arguments: str, before: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the script with this Python, without the settings of this machine's pip.

    Args:
        checkout: the project.
        arguments: of the script.
        before: shell line that comes first, in a mount namespace of its own.
        variables: of the environment; without any, packages are those of the fixture.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    local = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(checkout.parent / "index")}
    command = ["scripts/environment", *arguments]
    if before:
        if why := namespaces.why_none("--map-root-user", "--mount"):
            pytest.skip(f"no namespace for a mount: {why}")
        shell = f'set -e; {before}; cd "$PWD"; exec "$@"'
        command = ["unshare", "--map-root-user", "--mount", "sh", "-c", shell, "sh", *command]
    return subprocess.run(
        command,
        cwd=checkout,
        env={**kept, "PYTHON": sys.executable, "PIP_CONFIG_FILE": os.devnull}
        | (variables or local),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def packages(checkout: Path) -> dict[str, str]:
    """Return what is installed beside pip and setuptools, with versions."""
    folders = (checkout / ".venv").glob("lib/python*/site-packages/*.dist-info")
    stems = (folder.stem.replace("_", "-").rsplit("-", 1) for folder in folders)
    return {name: version for name, version in stems if name not in {"pip", "setuptools"}}


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line with which the script refused."""
    assert ended.returncode == 2, ended
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("Installing into")]
    assert line.startswith("error: ")
    return line


def test_a_demo_installs_neither_tools_nor_documentation_and_the_rest_is_added(
    installed: Path,
) -> None:
    checkout = installed
    python = (checkout / ".venv" / "pyvenv.cfg").stat().st_mtime_ns

    ended = environment(checkout)
    assert ended.returncode == 0, ended
    assert packages(checkout) == ALL
    assert (checkout / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == python

    # All that a demo needs is there: pip is not asked again.
    assert environment(checkout, "demo", **NO_REGISTRY).stderr == ""
    assert environment(checkout, **NO_REGISTRY).stderr == ""

    # New versions reach also what this command does not need: it would be out of date otherwise.
    pin(checkout, "2")
    assert environment(checkout, "demo").returncode == 0
    assert packages(checkout) == {name: "1" if name == "whole" else "2" for name in ALL}


def test_a_registry_that_does_not_answer(installed: Path) -> None:
    # What is installed is not what is wanted any more.
    pin(installed, "3")
    line = refusal(environment(installed, "demo", **NO_REGISTRY))
    assert "the package registry does not answer; look at the network, or at pip's set" in line
    assert not (installed / ".venv" / "installed").exists()


def test_an_environment_that_was_moved_is_made_anew(installed: Path) -> None:
    pin(installed, "1")
    moved = installed.rename(installed.with_name("moved"))
    assert environment(moved, "demo").returncode == 0
    ended = subprocess.run(
        [moved / ".venv/bin/pip", "--version"], capture_output=True, text=True, check=False
    )
    assert str(moved) in ended.stdout
    assert packages(moved).items() >= DEMO.items()


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ('case "$2" in *platform*) echo Python 3.10.13 ;; *) exit 1 ;; esac', "Python 3.10.13"),
        ("exit 127", "no Python"),
    ],
)
def test_a_python_that_is_too_old_or_none(
    checkout: Path, tmp_path: Path, program: str, says: str
) -> None:
    old = tmp_path / "python3"
    old.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    old.chmod(0o755)
    line = refusal(environment(checkout, "demo", PYTHON=str(old)))
    assert f"{old} is {says}, expected 3.11 or later; install one, or name one: PYTHON=" in line
    assert not (checkout / ".venv").exists()


def test_a_disk_that_is_full(checkout: Path) -> None:
    full = f"mkdir .venv; mount -t tmpfs -o size=3m none {checkout}/.venv"
    line = refusal(environment(checkout, "demo", before=full))
    assert "no space is left in" in line


def test_a_checkout_that_cannot_be_written(checkout: Path) -> None:
    read_only = f"mount --bind {checkout} {checkout}; mount -o remount,ro,bind {checkout}"
    line = refusal(environment(checkout, "demo", before=f'{read_only}; cd /; cd "{checkout}"'))
    assert "cannot be written; make it writable, or use a copy of this folder" in line


def test_a_set_that_does_not_exist(checkout: Path) -> None:
    assert "there is no set 'everything'" in refusal(environment(checkout, "everything"))
