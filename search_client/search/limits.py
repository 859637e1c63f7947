"""What no network that a search ends with may exceed, whatever it gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pydantic import Field

from netspec.console.units import significant
from netspec.costs import macs, parameters
from netspec.errors import UserError
from netspec.networks import Network
from netspec.validation import FrozenModel
from netspec.wire import LaunchQuantity
from search_client.latency.objective import Aim

_MIB = 2**20
#: what a table predicts: the limit's name, and its unit in the table's
_LAUNCH: Mapping[str, tuple[LaunchQuantity, float]] = MappingProxyType(
    {
        "load_ms": ("load_ms", 1.0),
        "first_inference_ms": ("first_inference_ms", 1.0),
        "peak_memory_mib": ("peak_memory_bytes", float(_MIB)),
    }
)


class Limits(FrozenModel):
    """What no network of a search may exceed; of what is measured, on none of its targets."""

    mega_macs: float | None = Field(
        default=None, gt=0, description="million multiply-accumulates of an image; none: no limit"
    )
    kilo_parameters: float | None = Field(
        default=None, gt=0, description="thousand weights and biases; none: no limit"
    )
    load_ms: float | None = Field(
        default=None,
        gt=0,
        description="time from the file to a model that is ready to run, as the table predicts it",
    )
    first_inference_ms: float | None = Field(
        default=None, gt=0, description="time of the very first inference, as the table predicts it"
    )
    peak_memory_mib: float | None = Field(
        default=None,
        gt=0,
        description="growth of the process's peak memory by the model, MiB, as the table predicts "
        "it",
    )

    energy_mj: float | None = Field(
        default=None, gt=0, description="of an inference, mJ, as the table predicts it"
    )

    @property
    def given(self) -> dict[str, float]:
        """The limits that there are, by name."""
        return self.model_dump(exclude_none=True)

    def check(self, aims: Sequence[Aim]) -> None:
        """See that the tables predict what is limited.

        Raises:
            UserError: one does not; the message names the limit and the target.
        """
        for name, (quantity, _) in _LAUNCH.items():
            for aim in aims:
                if name in self.given and quantity not in aim.launches:
                    raise UserError(
                        f"search.limits.{name}: the table of target {aim.target} predicts no "
                        f"{quantity}, because fewer than 5 of the networks that it is calibrated "
                        "on say it; measure more with `search-client profile`, by a runner that "
                        "prints it, or leave the limit out"
                    )

    def amounts(
        self, network: Network, aims: Sequence[Aim], latency_ms: Sequence[float]
    ) -> dict[str, float]:
        """What a network has of all that is limited, by the limit's name, in the limit's unit.

        Args:
            network: any.
            aims: of the targets; of what is measured, the most on any of them counts.
            latency_ms: of the network on each of them.
        """
        amounts: dict[str, float] = {}
        for name in self.given:
            if name == "mega_macs":
                amounts[name] = sum(map(macs, network.operators)) / 1e6
            elif name == "kilo_parameters":
                amounts[name] = parameters(network.operators) / 1e3
            elif name == "energy_mj":
                amounts[name] = max(_energy_mj(network, aim) for aim in aims)
            else:
                quantity, unit = _LAUNCH[name]
                amounts[name] = max(
                    aim.launches[quantity].predict(network.operators, ms) / unit
                    for aim, ms in zip(aims, latency_ms, strict=True)
                )
        return amounts

    def allow(self, amounts: Mapping[str, float]) -> bool:
        """Whether the amounts of a network exceed none."""
        return all(amounts[name] <= limit for name, limit in self.given.items())

    def compared(self, amounts: Mapping[str, float]) -> str:
        """The amounts beside their limits, for people."""
        return ", ".join(
            f"{name} {significant(amounts[name])} (at most {limit:g})"
            for name, limit in self.given.items()
        )


def _energy_mj(network: Network, aim: Aim) -> float:
    """Of an inference on one target.

    Raises:
        UserError: the target's table lacks the energy of some operator.
    """
    keys = [operator.key for operator in network.operators]
    lacking = sorted({key for key in keys if key not in aim.energies_mj})
    if lacking:
        raise UserError(
            f"search.limits.energy_mj: the table of target {aim.target} has no energy of "
            f"{lacking[0]}" + (f" and {len(lacking) - 1} more" if len(lacking) > 1 else "") + "; "
            "measure it with `search-client profile --set profiling.energy_windows=10`, or leave "
            "the limit out"
        )
    return math.fsum(aim.energies_mj[key] for key in keys)
