"""What the wheel holds, and that each room runs with what its extra declares and no more."""

from __future__ import annotations

import email
import importlib.resources
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.integration.wheel.places import IMPORT_ALL, ROOMS, ROOT

#: room, its extra, and what other extras bring to single modules of the room
EXTRAS = [
    # netspec's encoder of models is for the other two rooms.
    ("profiler_server", "server", {"pyarrow", "ai_edge_litert"}),
    ("device_agent", "agent", {"zeroconf"}),
    ("search_client", "search", {"tensorboard"}),
]
HEAVY = {"torch", "fastapi", "sqlalchemy", "matplotlib"}


def _environment(*folders: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, folders))}


def _declared(extra: str) -> dict[str, Distribution]:
    """The distributions that the project with an extra asks for, and what those ask for."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(f"proxyless-farm[{extra}]")]
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        dist = found[name] = distribution(name)
        for line in dist.requires or []:
            needed = Requirement(line)
            extras = [{"extra": chosen} for chosen in (*asked.extras, "")]
            if needed.marker is None or any(map(needed.marker.evaluate, extras)):
                known = canonicalize_name(needed.name) in found
                if not known or needed.extras:
                    waiting.append(needed)
    del found["proxyless-farm"]
    return found


def _links(folder: Path, distributions: dict[str, Distribution]) -> Path:
    """Makes a folder of site-packages that holds these distributions of this environment alone."""
    for dist in distributions.values():
        for name in {file.parts[0] for file in dist.files or []} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(Path(str(dist.locate_file(name))))
    return folder


def test_site_packages_get_the_rooms_alone(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == set(ROOMS)


def test_every_file_of_the_rooms_is_in_the_wheel(wheel: Path) -> None:
    tracked = ["git", "-C", str(ROOT), "ls-files", *ROOMS, "migrations"]
    files = subprocess.run(tracked, check=True, capture_output=True, text=True).stdout.split()
    expected = {re.sub("^migrations/", "profiler_server/migrations/", file) for file in files}
    with zipfile.ZipFile(wheel) as archive:
        assert expected - set(archive.namelist()) == set()


def test_the_wheel_describes_itself(installed: Path) -> None:
    (folder,) = installed.glob("*.dist-info")
    about = email.message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
    assert about["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in about.get_all("Classifier", [])
    assert (folder / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(("room", "extra", "optional"), EXTRAS)
def test_a_room_needs_what_its_extra_declares(
    room: str, extra: str, optional: set[str], installed: Path, tmp_path: Path
) -> None:
    needed = _declared(extra)
    libraries = _links(tmp_path, needed)
    # -S: without the environment of the tests.
    ended = subprocess.run(
        [sys.executable, "-S", "-c", IMPORT_ALL, "netspec", room],
        env=_environment(installed, libraries),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert set(ended.stdout.split()) <= optional
    if extra == "agent":
        assert HEAVY & set(needed) == set()


def test_the_installed_server_makes_its_database(installed: Path, tmp_path: Path) -> None:
    libraries = _links(tmp_path, _declared("server"))
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "profiler_server", "migrate"],
        env={**_environment(installed, libraries), "PROFILER_DATA_DIR": str(tmp_path / "data")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    last = max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("0*.py"))
    assert ended.stdout.startswith(f"schema {last}")


def test_the_citation_is_valid_and_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((vendored / "citation-file-format.json").read_text("utf-8"))
    errors = jsonschema_rs.validator_for(schema).iter_errors(citation)
    assert [error.message for error in errors] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
