"""Going back: a run whose numbers cease to be finite returns to its last good step."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Protocol

from torch import nn

from search_client.training import distributed
from search_client.training.checkpoints import State
from search_client.training.step import NotFinite

#: steps between two states that are kept, beside those at the beginning of epochs
STEPS = 200
#: times that a run goes back before it ends
MOST = 3


class Restorable(Protocol):
    """A run that can be taken back to a step."""

    def state(self) -> State:
        """All that the next step depends on."""

    def load_state(self, state: State) -> None:
        """Go back to where a state was taken."""


class Rollback:
    """The last good state of a run, and how often the run went back to one.

    A step shows what the steps before it did to the weights: so a good state is not that of the
    step before, but one that was kept some steps ago, when every number was finite. The run is not
    held: in a circle it would outlive its end, and the process group of its gradients with it.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell` hears of every return."""
        self.times = 0
        self._tell = tell
        self._good: State | None = None

    @property
    def rate(self) -> float:
        """Factor of the learning rate: half of it for every return."""
        return 0.5**self.times

    def keep(self, run: Restorable) -> None:
        """Remember where a run is now; every number of it is finite."""
        # First of all the memory of the one before is given back: they are as large as each other.
        self._good = None
        self._good = deepcopy(run.state())

    def back(self, run: Restorable, error: NotFinite) -> None:
        """Take a run back to its last good step, in all processes together.

        Raises:
            NotFinite: the run went back three times already.
        """
        if self._good is None or self.times == MOST:
            raise type(error)(
                f"{error} (tried {self.times} times more from the last good step, at half the "
                "learning rate each time)"
            ) from error
        times = self.times + 1
        run.load_state(self._good)
        self.times = times
        self._tell(
            f"Warning: {error}; back at the last good step, with 1/{2**times} of the recipe's "
            "learning rate"
        )


def finite(module: nn.Module) -> bool:
    """Whether all parameters and statistics are finite, in every process."""
    here = all(bool(value.isfinite().all()) for value in module.state_dict().values())
    return not distributed.any_process(not here)
