"""Everything that decides a run, read from a TOML recipe."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from netspec.errors import InvalidSpec, UserError
from netspec.networks import Network, mobilenet_v2
from netspec.operators import PRECISIONS, Operator, Precision, Side
from netspec.spaces import Space, named_values
from netspec.suggestions import did_you_mean
from netspec.validation import FrozenModel, described
from netspec.wire import LEAST_ROUNDS, MOST_ROUNDS
from search_client.data.unreadable import SHARE
from search_client.latency.objective import Combine
from search_client.quantization.finetuning import QatConfig
from search_client.quantization.post_training import PtqConfig
from search_client.recipes import RECIPES, shipped_recipes
from search_client.search.config import SearchConfig
from search_client.training.loop import TrainConfig
from search_client.training.own_task import OwnTask

#: threads that decode images which are not kept in memory
WORKERS = 4
#: images are kept in memory where all of them take at most so many GB
MEMORY_GB = 4.0
#: time between two checkpoints, minutes
CHECKPOINT_MINUTES = 10.0


#: parts of a recipe that learn the task
LEARNING = ("search", "train", "finetune")


class BadRecipe(UserError):
    """A recipe cannot be found or read, or says something that does not exist."""


class Profiling(FrozenModel):
    """What is measured before the search."""

    #: visits of each operator, in shuffled rounds
    rounds: Annotated[int, Field(ge=1, le=1_000)] = 20
    #: visits of each whole network: they are few, and every prediction leans on them
    network_rounds: Annotated[int, Field(ge=1, le=1_000)] = 40
    #: whole networks measured in each precision to calibrate sums of operators
    calibration_networks: Annotated[int, Field(ge=2, le=100)] = 5
    #: rounds of windows by which the energy of these networks, and of each operator of the
    #: search's precision, is measured; none: 10 where the search goes by energy, else none is
    energy_windows: Annotated[int, Field(ge=LEAST_ROUNDS, le=MOST_ROUNDS)] | None = None


class FurtherTarget(FrozenModel):
    """One more target that a search aims at."""

    #: target id, or its beginning
    target: Annotated[str, Field(min_length=1)]
    latency_ref_ms: Annotated[float, Field(gt=0)]
    #: under `combine = "weighted"`; the first target has 1
    weight: Annotated[float, Field(gt=0)] = 1.0


class Recipe(FrozenModel):
    """One run: profile, search, train, quantize, measure."""

    #: or the name of a shipped space, or the path of one's file; as a table, `base` names a space
    #: whose other values it takes. `classes` is replaced by the data's
    space: Space = Space()
    #: precision whose latency is in the loss
    precision: Precision = "int8"
    #: latency to search for, ms; none: the baseline's, so that both compare
    latency_ref_ms: Annotated[float, Field(gt=0)] | None = None
    #: input sizes (px) to choose among; none: the space's
    sizes: Annotated[tuple[Side, ...], Field(max_length=16)] = ()
    #: width multipliers to choose among; none: the space's
    widths: Annotated[tuple[Annotated[float, Field(gt=0, le=4)], ...], Field(max_length=8)] = ()
    #: beside the one that the command names; of each its `target` and `latency_ref_ms`
    further_targets: tuple[FurtherTarget, ...] = ()
    #: of several targets' losses the worst one's, or their weighted mean
    combine: Combine = "worst"
    #: width multiplier of the MobileNetV2 that goes the same way, at the space's input size
    baseline_width: Annotated[float, Field(gt=0, le=4)] = 1.0
    #: further MobileNetV2 to compare with, each an input size (px) and a width multiplier
    baselines: tuple[tuple[Side, Annotated[float, Field(gt=0, le=4)]], ...] = ()
    #: images of a step; several processes divide them
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 256
    #: share of each class's training images that the architecture steps see
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.04
    #: hold out the last images of each class, by name, instead of any: where neighbours are alike,
    #: as frames of a film or crops of a photograph, any image has its like among those trained on
    held_out_last: bool = False
    #: seeds torch, the data's order and the calibration networks
    seed: Annotated[int, Field(ge=0)] = 0
    #: threads that decode images which are not kept in memory
    workers: Annotated[int, Field(ge=0, le=256)] = WORKERS
    #: images are kept in memory where all of them take at most so many GB
    memory_gb: Annotated[float, Field(ge=0)] = MEMORY_GB
    #: share of the images that may be unreadable; they are named and left out
    unreadable_share: Annotated[float, Field(ge=0, lt=1)] = SHARE
    #: test images that the target's device runs through each int8 file once it is measured, for the
    #: accuracy there; a phone takes about a second for one
    device_images: Annotated[int, Field(ge=0, le=5_000)] = 0
    #: time between two checkpoints, minutes
    checkpoint_minutes: Annotated[float, Field(gt=0)] = CHECKPOINT_MINUTES
    #: what all networks learn, and the search by them; none: the cross-entropy of image classes
    task: OwnTask | None = None
    profiling: Profiling = Profiling()
    search: SearchConfig = SearchConfig()
    train: TrainConfig = TrainConfig()
    finetune: QatConfig = QatConfig()
    post_training: PtqConfig = PtqConfig()

    @model_validator(mode="before")
    @classmethod
    def _task_of_all(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Give the recipe's task to each part that learns."""
        if values.get("task") is None:
            return values
        return values | {name: _with(values.get(name), "task", values["task"]) for name in LEARNING}

    @model_validator(mode="after")
    def _says_the_task_once(self) -> Recipe:
        for name in LEARNING:
            if getattr(self, name).task != self.task:
                raise ValueError(f"{name}.task: all parts learn one task; give it as `task`, once")
        return self

    def for_classes(self, classes: int) -> Recipe:
        """The same run for a data set's number of classes."""
        return self.model_copy(update={"space": self.space.with_values(classes=classes)})

    def operators(self) -> tuple[Operator, ...]:
        """All that a run needs a latency for: the space and the baseline, in both precisions."""
        operators: list[Operator] = []
        for precision in PRECISIONS:
            for space in self.spaces(precision):
                operators += space.operators()
            for network in self.every_baseline(precision):
                operators += network.operators
        return tuple(dict.fromkeys(operators))

    def searched_operators(self) -> tuple[Operator, ...]:
        """All that a search alone needs a latency for: the space, and a baseline to aim at."""
        spaces = self.spaces(self.precision)
        operators = [operator for space in spaces for operator in space.operators()]
        if self.latency_ref_ms is None:
            operators += self.baseline(self.precision).operators
        return tuple(dict.fromkeys(operators))

    def unchanging_operators(self) -> frozenset[Operator]:
        """Those that every network of the space has in common, whichever choices it makes."""
        unchanging: set[Operator] = set()
        for precision in PRECISIONS:
            fixed = [{*one.fixed_start, *one.fixed_end} for one in self.spaces(precision)]
            unchanging |= set.intersection(*fixed)
        return frozenset(unchanging)

    def spaces(self, precision: Precision) -> list[Space]:
        """The space at every size and width that the search chooses among."""
        rows = self.space.with_precision(precision).variants(self.sizes, self.widths)
        return [space for row in rows for space in row]

    @property
    def input_size(self) -> int:
        """Return the greatest input size of spaces and baselines, px: images are kept for it."""
        baselines = [size for size, _ in self.baselines]
        return max([self.space.input_size, *(self.sizes or self.space.sizes), *baselines])

    def every_baseline(self, precision: Precision) -> list[Network]:
        """The baseline and the further ones."""
        further = [
            mobilenet_v2(size, width, self.space.classes, precision)
            for size, width in self.baselines
        ]
        return [self.baseline(precision), *further]

    def baseline(self, precision: Precision) -> Network:
        """The MobileNetV2 that the searched network is compared with."""
        return mobilenet_v2(
            self.space.input_size, self.baseline_width, self.space.classes, precision
        )


def _with(part: Any, name: str, value: object) -> Any:
    """A part of a recipe, read or not, with one value more."""
    if isinstance(part, FrozenModel):
        part = part.model_dump()
    return {**(part or {}), name: value} if isinstance(part, dict | None) else part


def read_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """The settings of a shipped recipe, by name, or of a TOML file.

    Args:
        name_or_path: of the recipe.
        overrides: values that replace the recipe's, each `search.joint_epochs=3`: a dotted name
            and a TOML value; a text needs no quotes.

    Raises:
        BadRecipe: there is none, it is no TOML, or it has unknown or impossible values; the
            message names each.
    """
    path = Path(name_or_path)
    if name_or_path in shipped_recipes():
        content = (RECIPES / f"{name_or_path}.toml").read_bytes()
    elif path.is_file():
        content = path.read_bytes()
    else:
        raise BadRecipe(
            f"there is no recipe {name_or_path!r}, and no such TOML file; "
            f"{did_you_mean(name_or_path, shipped_recipes())}"
        )
    try:
        values = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"recipe {name_or_path} is no TOML: {error}") from error
    return _settings(values, overrides, f"recipe {name_or_path}", path.parent)


def with_overrides(settings: Recipe, overrides: Sequence[str]) -> Recipe:
    """Settings with some values replaced, as in `read_recipe`.

    Raises:
        BadRecipe: one does not exist or is impossible.
    """
    return (
        _settings(settings.model_dump(mode="json"), overrides, "--set", Path())
        if overrides
        else settings
    )


def _settings(values: dict[str, Any], overrides: Sequence[str], where: str, folder: Path) -> Recipe:
    """Args: what a recipe says, what replaces it, and where paths in the recipe begin."""
    _put_in_space(values, where, folder)
    for override in overrides:
        _override(values, override)
        _put_in_space(values, f"--set {override}", Path())
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(described(one, Recipe) for one in error.errors())
        raise BadRecipe(f"{where}: {problems}") from error


def _put_in_space(values: dict[str, Any], where: str, folder: Path) -> None:
    """Put the values of a space that is named in the place of its name."""
    space = values.get("space")
    if isinstance(space, str | dict):
        try:
            values["space"] = named_values(space, folder)
        except InvalidSpec as error:
            raise BadRecipe(f"{where}: space: {error}") from error


def _override(values: dict[str, Any], override: str) -> None:
    """Replaces one value; whether it exists is seen when everything is read together."""
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise BadRecipe(
            f"--set {override}: expected a name and a value, as in search.joint_epochs=3"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *tables, last = name.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise BadRecipe(f"--set {override}: {table} is a value and has no {last}")
    if last == "kind" and values.get("kind") != value:
        # Another kind of loss has other values.
        values.clear()
    values[last] = value


def parse_ms(text: str) -> float:
    """A latency in ms from `30ms`, `0.03s`, `30000us` or `30`.

    Raises:
        UserError: it is none, or not above 0.
    """
    number, factor = text.strip().lower(), 1.0
    for suffix, in_ms in (("ms", 1.0), ("us", 1e-3), ("s", 1e3)):
        if number.endswith(suffix):
            number, factor = number.removesuffix(suffix), in_ms
            break
    try:
        value = float(number) * factor
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise UserError(f"{text!r} is no latency; expected for instance 30ms, 0.03s or 30000us")
    return value
