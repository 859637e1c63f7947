"""E[energy] in the loss, beside E[LAT] or in its place."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor, nn

from netspec.client import LatencyTable
from netspec.errors import UserError
from netspec.operators import Precision
from netspec.spaces import Space
from netspec.validation import FrozenModel
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import LatencyLoss, LogRatio

#: operators that a text names
_MOST_NAMED = 3


class EnergyAim(FrozenModel):
    """Energy of an inference in the loss of a search by the gradient."""

    weight: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of energy's loss; latency's has the rest, so 1 is energy alone",
    )
    reference_mj: float | None = Field(
        default=None,
        gt=0,
        description="energy to search for, mJ; none: the baseline's, as the table predicts it",
    )

    @property
    def alone(self) -> bool:
        """Whether latency is not aimed at."""
        return self.weight == 1.0


class EnergyFound(FrozenModel):
    """What a search came to by energy, on its first target.

    Parts without a measured energy, which every network has, are left out of all.
    """

    reference_mj: float
    #: of energy's loss; 1 is energy alone
    weight: float
    #: E[energy] of the final probabilities
    expected_mj: float
    #: of the network found, and of the likeliest one
    found_mj: float
    likeliest_mj: float


class EnergyTerm(nn.Module):
    """What energy has in the loss: E[energy] of each variant, its reference and its weight.

    E[energy] is the sum that E[LAT] is, over other numbers: mJ in the place of ms.
    """

    def __init__(
        self, means: Sequence[ExpectedLatency], reference_mj: float, weight: float
    ) -> None:
        """Args are as they say; `means` is by variant of the family."""
        super().__init__()
        self.means = nn.ModuleList(means)
        self.reference_mj = reference_mj
        self.weight = weight

    def joined(
        self, form: LatencyLoss, cross_entropy: Tensor, energy_mj: Tensor, of_latency: Tensor
    ) -> Tensor:
        """The loss (scalar): by energy and by latency, weighted.

        Args:
            form: of both.
            cross_entropy: in both.
            energy_mj: scalar, mJ.
            of_latency: the loss by latency alone.
        """
        of_energy = form(cross_entropy, energy_mj, self.reference_mj)
        return self.weight * of_energy + (1 - self.weight) * of_latency


def energy_term(
    aim: EnergyAim,
    form: LatencyLoss,
    table: LatencyTable,
    spaces: Sequence[Space],
    precision: Precision,
    reference_mj: float,
) -> EnergyTerm:
    """Energy's part of a loss under a target's table.

    Parts that every network has move all energies alike: without a measured energy they are left
    out.

    Args:
        aim: its weight.
        form: of the loss.
        table: of the target.
        spaces: of the family's variants.
        precision: of the spaces.
        reference_mj: R.

    Raises:
        UserError: the table has no energy of what is to be chosen, or the form depends on the unit.
    """
    if isinstance(form, LogRatio):
        raise UserError(
            "the loss log_ratio is a ratio of logs of ms, and search.energy is in mJ; choose "
            "search.latency_loss = target, linear or equation3"
        )
    values = dict(table.energies_mj)
    choices = {one.key for space in spaces for block in space.blocks for one in block.candidates}
    require_energies(table, sorted(choices - values.keys()))
    fixed = {one.key for space in spaces for one in (*space.fixed_start, *space.fixed_end)}
    values |= dict.fromkeys(fixed - values.keys(), 0.0)
    means = [
        ExpectedLatency.of_space(
            space, values, table.snapshot.target_id, scale=table.energy_scale(precision)
        )
        for space in spaces
    ]
    return EnergyTerm(means, reference_mj, aim.weight)


def require_energies(table: LatencyTable, lacking: Sequence[str]) -> None:
    """See that a table lacks no energy.

    Raises:
        UserError: it does; the message names the first operators.
    """
    if not lacking:
        return
    target_id = table.snapshot.target_id
    if not table.energies_mj:
        raise UserError(
            f"search.energy: the table of target {target_id} has no energy; measure it with "
            "`search-client profile --set profiling.energy_windows=10`, on a device whose agent "
            "counts energy"
        )
    more = f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
    raise UserError(
        f"search.energy: the table of target {target_id} has no energy of "
        f"{', '.join(lacking[:_MOST_NAMED])}{more}; measure it with "
        "`search-client profile --set profiling.energy_windows=10`"
    )
