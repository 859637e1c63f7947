"""The recipes that come with the package: naming them needs no torch."""

from __future__ import annotations

from importlib.resources import files

RECIPES = files("search_client") / "recipes"


def shipped_recipes() -> list[str]:
    """Their names."""
    names = (one.name for one in RECIPES.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))
