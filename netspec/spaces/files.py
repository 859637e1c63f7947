"""Spaces as files: those that come with the package, and people's own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.spaces.space import Space
from netspec.suggestions import did_you_mean
from netspec.validation import described

_SHIPPED = files("netspec") / "spaces" / "shipped"
_TOML = ".toml"


def shipped_spaces() -> list[str]:
    """Names of the spaces that come with the package."""
    names = (one.name for one in _SHIPPED.iterdir())
    return sorted(name.removesuffix(_TOML) for name in names if name.endswith(_TOML))


def read_space(name_or_path: str | Path, folder: Path = Path()) -> Space:
    """A shipped space, by name, or that of a TOML or JSON file.

    Args:
        name_or_path: of the space.
        folder: that a path begins in.

    Raises:
        InvalidSpec: there is none, or it has unknown or impossible values; the message names each.
    """
    values = space_values(name_or_path, folder)
    try:
        return Space.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(described(one, Space) for one in error.errors())
        raise InvalidSpec(f"space {name_or_path}: {problems}") from error


def named_values(given: str | Mapping[str, Any], folder: Path | None = Path()) -> dict[str, Any]:
    """What a recipe's `space` says, with the values of the space that it names put in.

    Args:
        given: a space's name or path, or its values; these may have a `base`, a space whose other
            values they take.
        folder: that a path begins in; None: only shipped spaces are known.

    Raises:
        InvalidSpec: there is no such space.
    """
    own = {"base": given} if isinstance(given, str) else dict(given)
    if "base" not in own:
        return own
    base = own.pop("base")
    if not isinstance(base, str):
        raise InvalidSpec(f"base: expected the name of a space, or a path, got {base!r}")
    if folder is None and base not in shipped_spaces():
        raise InvalidSpec(f"there is no space {base!r}; {did_you_mean(base, shipped_spaces())}")
    return {**space_values(base, folder or Path()), **own}


def space_values(name_or_path: str | Path, folder: Path = Path()) -> dict[str, Any]:
    """What a space's file says, unchecked; see `read_space`.

    Raises:
        InvalidSpec: there is no such file, or it is neither TOML nor JSON.
    """
    path = folder / name_or_path
    if str(name_or_path) in shipped_spaces():
        content = (_SHIPPED / f"{name_or_path}{_TOML}").read_bytes()
        suffix = _TOML
    elif path.is_file():
        content, suffix = path.read_bytes(), path.suffix
    else:
        raise InvalidSpec(
            f"there is no space {str(name_or_path)!r}, and no such file; "
            f"{did_you_mean(str(name_or_path), shipped_spaces())}"
        )
    language = "JSON" if suffix == ".json" else "TOML"
    try:
        text = content.decode()
        values = json.loads(text) if language == "JSON" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidSpec(f"space {name_or_path} is no {language}: {error}") from error
    if not isinstance(values, dict):
        raise InvalidSpec(f"space {name_or_path}: expected an object with the space's values")
    return values
