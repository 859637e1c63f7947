"""Wheels without code, and a build backend that makes one; copied into the projects of tests."""

from __future__ import annotations

import zipfile
from pathlib import Path

EXTRAS = ("server", "agent", "search", "dev", "docs")


def write_wheel(folder: Path, name: str, version: str, headers: str = "") -> Path:
    """Write a wheel that holds nothing but its metadata, and return its path.

    Args:
        folder: where it is written.
        name: of the distribution.
        version: of the distribution.
        headers: further lines of the metadata, such as `Requires-Dist`.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{headers}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files["RECORD"] = "".join(f"{stem}.dist-info/{file},,\n" for file in (*files, "RECORD"))
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(f"{stem}.dist-info/{file}", content)
    return path


def build_editable(wheel_directory: str, *_: object) -> str:
    """Build the project `whole`, whose extras require a package each (PEP 660)."""
    headers = "\n".join(
        f'Provides-Extra: {extra}\nRequires-Dist: part-{extra}; extra == "{extra}"'
        for extra in EXTRAS
    )
    return write_wheel(Path(wheel_directory), "whole", "1", headers).name
