# ruff: noqa: INP001 - a script beside the others, run as `python -m scripts.house`
"""Checks how the house is built: circles and floors of rooms, sizes of folders, names of classes.

Run from the project's root. A room's boxes are its first-level packages and modules; a floor is a
step of the longest chain of imports among them. Prints every breach.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOMS = ("netspec", "profiler_server", "device_agent", "search_client")
#: the most floors that a room may have
MOST_FLOORS = {"search_client": 11, "device_agent": 8}
#: the most modules that a folder may hold, its `__init__.py` not counted
MOST_MODULES = 16


def box_of(path: Path, room: Path) -> str:
    """The first-level package or module of a room in which a file lies."""
    return path.relative_to(room).parts[0].removesuffix(".py")


def imports_between_boxes(room: Path) -> dict[str, set[str]]:
    """Each box of a room with the boxes that it imports, those inside functions included."""
    files = [path for path in sorted(room.rglob("*.py")) if path != room / "__init__.py"]
    boxes: dict[str, set[str]] = {box_of(path, room): set() for path in files}
    for path in files:
        box = box_of(path, room)
        for name in _imported(ast.parse(path.read_text())):
            first, *rest = name.split(".")
            if first == room.name and rest and rest[0] in boxes and rest[0] != box:
                boxes[box].add(rest[0])
    return boxes


def floors(boxes: dict[str, set[str]]) -> dict[str, int]:
    """Each box with its floor: 1 imports no other box.

    Raises:
        CycleError: boxes import each other in a circle.
    """
    height: dict[str, int] = {}
    for box in TopologicalSorter(boxes).static_order():
        height[box] = 1 + max((height[below] for below in boxes[box]), default=0)
    return height


def breaches(root: Path) -> list[str]:
    """All that is built otherwise than the house's rules, one line each."""
    lines = []
    for name in ROOMS:
        try:
            height = max(floors(imports_between_boxes(root / name)).values())
        except CycleError as circle:
            lines.append(f"{name}: boxes import each other in a circle: {circle.args[1]}")
            continue
        most = MOST_FLOORS.get(name, height)
        if height > most:
            lines.append(f"{name}: {height} floors, at most {most} wanted")
    for folder, modules in sorted(_modules(root).items()):
        if modules > MOST_MODULES:
            lines.append(f"{folder}: {modules} modules, at most {MOST_MODULES} wanted")
    for name, files in sorted(_classes(root).items()):
        if len(files) > 1:
            places = " and ".join(map(str, files))
            lines.append(f"class {name} stands in {places}: name one of them anew")
    return lines


def _imported(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from room import box` imports a box, too.
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


def _classes(root: Path) -> dict[str, list[Path]]:
    """Each public class name with the files that define it."""
    files: dict[str, list[Path]] = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            names = {
                node.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            }
            for name in names:
                files.setdefault(name, []).append(path.relative_to(root))
    return files


def _modules(root: Path) -> Counter[Path]:
    return Counter(
        path.parent.relative_to(root)
        for room in ROOMS
        for path in (root / room).rglob("*.py")
        if path.name != "__init__.py"
    )


def main() -> int:
    """Prints the breaches; 1 if there is any."""
    lines = breaches(Path.cwd())
    report = "\n".join(lines) or (
        "the house: no circle, no floor too many, no folder too large, no class name twice"
    )
    sys.stdout.write(f"{report}\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
