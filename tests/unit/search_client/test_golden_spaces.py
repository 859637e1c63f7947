"""Spaces of recipes are what they were when there was one family: tables are true for these."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from netspec.operators import PRECISIONS
from netspec.spaces import Space
from search_client.recipe import read_recipe

EXAMPLES = Path(__file__).parents[3] / "examples"
#: written before spaces were files: of each recipe its spaces, by size and width in each precision
GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "golden_spaces.json").read_text()
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def row(space: Space) -> dict[str, Any]:
    path = [(3 * at + 1) % block.choices for at, block in enumerate(space.blocks)]
    return {
        "size": space.input_size,
        "width": space.width,
        "json": sha256(space.model_dump_json()),
        "operators": sha256(" ".join(one.content_hash for one in space.operators())),
        "network": space.network(path).content_hash,
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_spaces_operators_and_networks_of_recipes_never_change(name: str) -> None:
    example = EXAMPLES / f"{name}.toml"
    settings = read_recipe(str(example) if example.exists() else name)
    spaces = [space for precision in PRECISIONS for space in settings.spaces(precision)]
    # The space of `cifar` has a name of its own by now.
    named = [space.with_values(kind="proxylessnas") for space in spaces]
    assert [row(space) for space in named] == GOLDEN[name]
