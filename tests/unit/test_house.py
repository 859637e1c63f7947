"""The check of how the rooms are built, on small rooms of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import house
from scripts.house_picture import picture

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for room in house.ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "errors.py").write_text("")
    return tmp_path


def test_the_project_keeps_its_rules() -> None:
    assert house.breaches(ROOT) == []


def test_floors_count_the_longest_chain_of_imports(root: Path) -> None:
    (root / "netspec" / "wire").mkdir()
    (root / "netspec" / "wire" / "jobs.py").write_text("from netspec import spaces\n")
    (root / "netspec" / "spaces.py").write_text("def read():\n    import netspec.errors\n")
    heights = house.floors(house.imports_between_boxes(root / "netspec"))
    assert heights == {"errors": 1, "spaces": 2, "wire": 3}


def test_a_circle_is_named(root: Path) -> None:
    (root / "netspec" / "wire.py").write_text("from netspec.spaces import Space\n")
    (root / "netspec" / "spaces.py").write_text("from netspec import wire\n")
    (line,) = house.breaches(root)
    assert "netspec" in line
    assert "spaces" in line
    assert "wire" in line


def test_floors_too_many_are_counted(root: Path) -> None:
    for number in range(house.MOST_FLOORS["device_agent"]):
        below = f"box{number - 1}" if number else "errors"
        (root / "device_agent" / f"box{number}.py").write_text(f"import device_agent.{below}\n")
    (line,) = house.breaches(root)
    assert line.startswith("device_agent: 9 floors")


def test_a_folder_too_large_is_named(root: Path) -> None:
    for number in range(house.MOST_MODULES):
        (root / "search_client" / f"module{number}.py").write_text("")
    (line,) = house.breaches(root)
    assert line.startswith("search_client: 17 modules")


def test_a_class_name_that_stands_twice_is_named(root: Path) -> None:
    (root / "netspec" / "spaces.py").write_text("class Space: ...\nclass _Hidden: ...\n")
    (root / "search_client" / "spaces.py").write_text("class Space: ...\nclass _Hidden: ...\n")
    (line,) = house.breaches(root)
    assert line.startswith("class Space stands in netspec/spaces.py and search_client/spaces.py")


def test_the_picture_is_fresh() -> None:
    assert (ROOT / "docs" / "architecture.svg").read_text() == picture(ROOT)
