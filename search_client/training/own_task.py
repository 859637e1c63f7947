"""A task of one's own: how wrong a network's answers are, in place of the cross-entropy."""

from __future__ import annotations

from typing import Annotated, Protocol, cast

import torch
from pydantic import Field
from torch import Tensor

from netspec.errors import UserError
from netspec.validation import FrozenModel
from search_client.own_functions import OwnFunctions

FUNCTIONS = OwnFunctions("search_client.tasks", "task", "search_client.training.own_task.task")
#: Registers a function as a task of this process, by a name that recipes give.
task = FUNCTIONS.register
#: images that a task is tried on before a run begins
_TRIED = 4


class TaskFunction(Protocol):
    """What a network learns."""

    def __call__(self, logits: Tensor, labels: Tensor, /, **values: float) -> Tensor:
        """How wrong each answer is, [N], differentiable to the logits.

        Args:
            logits: float32, [N, classes].
            labels: of the images' folders, in the order of their names, int64, [N].
            values: those of the recipe.
        """


class OwnTask(FrozenModel):
    """A function of your own, of logits and labels: see `docs/how-to/your-task.md`."""

    #: of the function, as it was registered or as its package's entry point says
    name: Annotated[str, Field(min_length=1)]
    #: given to the function by name
    values: dict[str, float] = Field(default_factory=dict)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """How wrong answers are, on the mean (scalar): logits [N, classes], labels [N]."""
        function = cast("TaskFunction", FUNCTIONS.find(self.name))
        return function(logits, labels, **self.values).mean()

    def check(self, classes: int) -> None:
        """See that the function does what a training needs.

        Args:
            classes: of the images.

        Raises:
            UserError: there is no such function, it does not take the values, or it gives anything
                but a finite number an image with a gradient to its logits.
        """
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(_TRIED, classes, generator=generator).requires_grad_()
        labels = torch.arange(_TRIED) % classes
        function = cast("TaskFunction", FUNCTIONS.find(self.name))
        tried = f"on random logits [{_TRIED}, {classes}] and labels {labels.tolist()}"
        try:
            losses = function(logits, labels, **self.values)
            (gradient,) = torch.autograd.grad([losses.sum()], [logits])
        except Exception as error:
            # Somebody else's code raises what it likes.
            raise UserError(
                f"the task {self.name!r} failed {tried} ({type(error).__name__}: {error}); it has "
                "to give a tensor that depends on the logits"
            ) from error
        if losses.shape != (_TRIED,):
            raise UserError(
                f"the task {self.name!r} gave a tensor of shape {list(losses.shape)} {tried}, "
                f"expected a number an image, [{_TRIED}]"
            )
        if not bool(losses.isfinite().all() and gradient.isfinite().all()):
            raise UserError(f"the task {self.name!r} or its gradient is no finite number {tried}")
