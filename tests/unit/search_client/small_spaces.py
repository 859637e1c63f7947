"""The shipped spaces cut down to what trains in a second, with all that is special about them."""

from __future__ import annotations

from netspec.spaces import Space, Stage, read_space

#: blocks of a stage
DEPTH = 2


def small_space(name: str, classes: int = 3) -> Space:
    """A shipped space at 32 px and a quarter of its width, with 2 blocks in each of 3 stages."""
    space = read_space(name)
    return space.with_values(
        input_size=32,
        width=0.25,
        classes=classes,
        sizes=(),
        widths=(),
        stages=[_shallow(stage).model_dump() for stage in space.stages[-3:]],
    )


def _shallow(stage: Stage) -> Stage:
    depth = min(stage.depth, DEPTH)
    kept = None if stage.least_depth is None else min(stage.least_depth, depth)
    # Of a stage that may be cut to 2 of its 4 blocks, the second one may be left out here.
    if kept is not None and stage.least_depth != stage.depth:
        kept = 1
    return stage.model_copy(update={"depth": depth, "least_depth": kept})
