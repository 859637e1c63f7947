"""A latency loss of one's own, by its name."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, cast

import torch
from pydantic import Field
from torch import Tensor

from netspec.errors import UserError
from netspec.validation import FrozenModel
from search_client.own_functions import OwnFunctions

FUNCTIONS = OwnFunctions(
    "search_client.latency_losses", "latency loss", "search_client.latency.own_loss.latency_loss"
)
#: Registers a function as a latency loss of this process, by a name that recipes give.
latency_loss = FUNCTIONS.register
_EXAMPLE_CROSS_ENTROPY = 2.0


class LatencyLossFunction(Protocol):
    """How latency joins the cross-entropy."""

    def __call__(
        self,
        cross_entropy: Tensor,
        expected_ms: Tensor,
        reference_ms: float,
        /,
        **values: float,
    ) -> Tensor:
        """The loss (scalar), differentiable to both tensors.

        Args:
            cross_entropy: scalar.
            expected_ms: E[LAT], scalar, ms.
            reference_ms: R, ms.
            values: those of the recipe.
        """


class OwnLoss(FrozenModel):
    """A function of your own, of cross-entropy, E[LAT] and R: see `docs/how-to/your-loss.md`."""

    #: chooses this form
    kind: Literal["own"] = "own"
    #: of the function, as it was registered or as its package's entry point says
    name: Annotated[str, Field(min_length=1)]
    #: given to the function by name
    values: dict[str, float] = Field(default_factory=dict)

    def __call__(self, cross_entropy: Tensor, expected_ms: Tensor, reference_ms: float) -> Tensor:
        """The loss (scalar)."""
        return self._function()(cross_entropy, expected_ms, reference_ms, **self.values)

    def _function(self) -> LatencyLossFunction:
        return cast("LatencyLossFunction", FUNCTIONS.find(self.name))

    def check(self, reference_ms: float) -> None:
        """See that the function does what a search needs, at E = R.

        Args:
            reference_ms: R.

        Raises:
            UserError: there is no such function, it does not take the values, or it gives no
                finite scalar that has a gradient to both.
        """
        cross_entropy = torch.tensor(_EXAMPLE_CROSS_ENTROPY, requires_grad=True)
        expected_ms = torch.tensor(reference_ms, requires_grad=True)
        function = self._function()
        try:
            loss = function(cross_entropy, expected_ms, reference_ms, **self.values)
            gradients = torch.autograd.grad([loss], [cross_entropy, expected_ms])
        except Exception as error:
            # Somebody else's code raises what it likes.
            raise UserError(
                f"the latency loss {self.name!r} failed on cross-entropy {_EXAMPLE_CROSS_ENTROPY:g}"
                f" and E[LAT] = R = {reference_ms:g} ms ({type(error).__name__}: {error}); it has "
                "to give a scalar tensor that depends on both"
            ) from error
        if not all(bool(value.isfinite()) for value in (loss, *gradients)):
            raise UserError(
                f"the latency loss {self.name!r} or its gradient is no finite number on "
                f"cross-entropy {_EXAMPLE_CROSS_ENTROPY:g} and E[LAT] = R = {reference_ms:g} ms"
            )
