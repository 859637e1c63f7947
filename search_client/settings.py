"""Everything that decides a run, read from a TOML recipe."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netspec.errors import UserError
from netspec.networks import Network, mobilenet_v2
from netspec.operators import PRECISIONS, Operator, Precision
from netspec.spaces import Space
from search_client.qat import QatConfig
from search_client.search import SearchConfig
from search_client.train import TrainConfig

_RECIPES = files("search_client") / "recipes"


class BadRecipe(UserError):
    """A recipe cannot be found or read, or says something that does not exist."""


class Profiling(BaseModel):
    """What is measured before the search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: visits of each operator, in shuffled rounds
    rounds: Annotated[int, Field(ge=1, le=1_000)] = 20
    #: visits of each whole network: they are few, and every prediction leans on them
    network_rounds: Annotated[int, Field(ge=1, le=1_000)] = 40
    #: whole networks measured in each precision to calibrate sums of operators
    calibration_networks: Annotated[int, Field(ge=2, le=100)] = 5


class Settings(BaseModel):
    """One run: profile, search, train, quantize, measure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: `classes` is replaced by the data's
    space: Space = Space()
    #: precision whose latency is in the loss
    precision: Precision = "int8"
    #: latency to search for; None: the baseline's, so that both compare
    latency_ref_ms: Annotated[float, Field(gt=0)] | None = None
    #: width multiplier of the MobileNetV2 that goes the same way, at the space's input size
    baseline_width: Annotated[float, Field(gt=0, le=4)] = 1.0
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 256
    #: share of each class's training images that the architecture steps see
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.04
    #: seeds torch, the data's order and the calibration networks
    seed: Annotated[int, Field(ge=0)] = 0
    profiling: Profiling = Profiling()
    search: SearchConfig = SearchConfig()
    train: TrainConfig = TrainConfig()
    finetune: QatConfig = QatConfig()

    def for_classes(self, classes: int) -> Settings:
        """The same run for a data set's number of classes."""
        space = Space(**{**self.space.model_dump(), "classes": classes})
        return self.model_copy(update={"space": space})

    def operators(self) -> tuple[Operator, ...]:
        """All that a run needs a latency for: the space and the baseline, in both precisions."""
        operators: list[Operator] = []
        for precision in PRECISIONS:
            operators += self.space.with_precision(precision).operators()
            operators += self.baseline(precision).operators
        return tuple(dict.fromkeys(operators))

    def baseline(self, precision: Precision) -> Network:
        """The MobileNetV2 that the searched network is compared with."""
        return mobilenet_v2(
            self.space.input_size, self.baseline_width, self.space.classes, precision
        )


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(
        recipe.name.removesuffix(".toml")
        for recipe in _RECIPES.iterdir()
        if recipe.name.endswith(".toml")
    )


def read_recipe(name_or_path: str) -> Settings:
    """The settings of a shipped recipe, by name, or of a TOML file.

    Raises:
        BadRecipe: there is none, it is no TOML, or it has unknown or impossible values; the
            message names each.
    """
    path = Path(name_or_path)
    if name_or_path in shipped_recipes():
        content = (_RECIPES / f"{name_or_path}.toml").read_bytes()
    elif path.is_file():
        content = path.read_bytes()
    else:
        raise BadRecipe(
            f"there is no recipe {name_or_path!r}; expected a TOML file or one of: "
            f"{', '.join(shipped_recipes())}"
        )
    try:
        return Settings.model_validate(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"recipe {name_or_path} is no TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise BadRecipe(f"recipe {name_or_path}: {problems}") from error
