"""The how-to's operator, registered as an installed package registers it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, blocks_of

PAGE = ROOT / "docs" / "how-to" / "your-operator.md"


def test_a_package_of_ones_own_is_priced_trained_quantized_exported_and_drawn(
    tmp_path: Path,
) -> None:
    blocks = list(blocks_of(PAGE.name, PAGE.read_text(encoding="utf-8")))
    (source,) = (block for block in blocks if block.title)
    (registration,) = (block for block in blocks if block.language == "toml")
    (shown,) = (block for block in blocks if block.language == "python" and not block.title)
    assert len(source.text.splitlines()) <= 40
    (tmp_path / source.title).write_text(source.text)
    metadata = tmp_path / "pool_mixer-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pool_mixer\nVersion: 1.0\n")
    name, _, value = registration.text.splitlines()[1].partition(" = ")
    points = f"[netspec.operators]\n{name} = {value.strip(chr(34))}\n"
    (metadata / "entry_points.txt").write_text(points)
    program = f"{shown.text}\nfrom tests.integration.search_client.own_operator import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Pool mixer 3x3 ['pool', 'expand', 'project', 'add']\n"
