"""A package with entry points, as pip leaves it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    folder: Path,
    content: str,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    group: str,
    points: Mapping[str, str],
) -> None:
    """Put a distribution of one module on the path until the test ends."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(content)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)
