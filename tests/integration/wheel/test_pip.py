"""The wheel, installed by pip with each extra into an environment that was empty."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import environment
from tests.integration.wheel.places import IMPORT_ALL, ROOT
from tests.integration.wheel.registry import skip_without_registry
from tests.integration.wheel.test_wheel import EXTRAS, HEAVY

PROGRAMS = {"server": "profiler-server", "agent": "device-agent", "search": "search-client"}
#: what each program does there, beyond saying its version
FIRST_STEPS = {
    "server": ("migrate",),
    "agent": ("devices", "--json"),
    "search": ("train", "--help"),
}


@pytest.mark.nightly
@pytest.mark.parametrize(("room", "extra", "optional"), EXTRAS)
def test_pip_installs_a_room(
    room: str, extra: str, optional: set[str], wheel: Path, tmp_path: Path
) -> None:
    skip_without_registry(tmp_path)
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = str(home / "bin" / "python")
    options = ["--quiet", "--disable-pip-version-check", "--constraint"]
    options.append(str(ROOT / "constraints.txt"))
    subprocess.run([python, "-m", "pip", "install", *options, f"{wheel}[{extra}]"], check=True)

    listed = [python, "-m", "pip", "list", "--format", "json"]
    names = {dist["name"].lower() for dist in json.loads(subprocess.check_output(listed))}
    if extra == "agent":
        assert HEAVY & names == set()
    missing = subprocess.check_output([python, "-c", IMPORT_ALL, "netspec", room], cwd=tmp_path)
    assert set(missing.decode().split()) <= optional

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            [home / "bin" / PROGRAMS[extra], *arguments],
            env=environment(PROFILER_DATA_DIR=str(tmp_path / "data")),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended
        return ended.stdout

    assert run("--version").startswith(f"{PROGRAMS[extra]} {wheel.name.split('-')[1]}")
    assert run(*FIRST_STEPS[extra]).strip()
