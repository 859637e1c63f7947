"""How sums of entries, and sizes, map to whole networks, and which networks that was found on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from netspec.console.units import latency_text
from netspec.costs import footprint
from netspec.operators import Operator, OperatorBase, Precision
from netspec.protocol import Sha256
from netspec.wire.message import Message, Milliseconds

#: fields of an entry
LaunchQuantity = Literal["load_ms", "first_inference_ms", "peak_memory_bytes"]
#: a network's sum may be so many times that of the largest, or of the smallest, that was calibrated
MOST_TIMES = 1.25
#: share of its sum that may be in families of operators beyond what any of these has in them
MOST_BEYOND = 0.1
#: families of operators that a text names
_MOST_NAMED = 3

_Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CalibrationNetwork(Message):
    """One network that a calibration was fitted on."""

    name: str
    subject_hash: Sha256
    #: sum of the operators' entries, each times its factor
    sum_ms: Milliseconds
    measured_ms: Milliseconds
    #: what a calibration predicts that was chosen and fitted without it; None for a single network,
    #: and in snapshots of older servers
    held_out_ms: Annotated[Milliseconds | None, Field(exclude_if=lambda value: value is None)] = (
        None
    )

    @property
    def held_out_error_percent(self) -> float | None:
        """100 * (held out - measured) / measured; None where it was never held out."""
        if self.held_out_ms is None or not self.measured_ms:
            return None
        return 100 * (self.held_out_ms / self.measured_ms - 1)


class HeldOutError(Message):
    """Error of predictions for networks that took no part in choosing or fitting the model.

    Every network is held out once. Snapshots of older servers lack what is None.
    """

    networks: int
    mape_percent: float
    bias_percent: float
    worst_percent: float
    #: name of the network with the worst error
    worst_network: str | None = None
    #: share of the networks whose error is within 5 and within 10 percent, 0 to 1
    within_5: float | None = None
    within_10: float | None = None
    #: rank correlation; None also for fewer than three networks
    spearman: float | None = None


class LaunchFit(Message):
    """One quantity of a launch, as shares of a network's size fitted on measured networks.

    quantity = fixed + per_latency_ms * latency + per_weight_byte * weights + per_map_byte * maps,
    where the maps are the input and output of the layer at which both together are largest.
    """

    quantity: LaunchQuantity
    #: ms or bytes, as the quantity, whatever the network
    fixed: _Share
    per_latency_ms: _Share
    per_weight_byte: _Share
    per_map_byte: _Share
    held_out: HeldOutError

    def predict(self, operators: Iterable[Operator], latency_ms: float) -> float:
        """The quantity, in ms or bytes, of a network that takes `latency_ms`."""
        size = footprint(operators)
        return (
            self.fixed
            + self.per_latency_ms * latency_ms
            + self.per_weight_byte * size.weight_bytes
            + self.per_map_byte * size.map_bytes
        )


class EnergyScale(Message):
    """How sums of operators' energies map to whole networks: one factor."""

    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    #: that it was fitted on
    networks: int
    #: None for fewer than three
    held_out: HeldOutError | None


class Calibration(Message):
    """How sums of entries map to whole networks.

    measured = scale * (sum over operators of factor * entry) + intercept.
    """

    precision: Precision
    #: what was fitted: one scale, an intercept too, or a factor of each operator
    model: Literal["scale", "scale_intercept", "ridge"] = "scale"
    scale: float
    intercept_ms: float
    #: by canonical key; 1 for operators that are not named
    factors: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    networks: tuple[CalibrationNetwork, ...]
    held_out: HeldOutError | None
    #: 95 % of networks take from predicted / factor to predicted * factor; None: not known
    interval_factor: Annotated[float, Field(ge=1)] | None = None
    #: by family of operators, the greatest share (0 to 1) of its sum that a network has in it; none
    #: in snapshots of older servers
    greatest_shares: Annotated[dict[str, float], Field(exclude_if=lambda value: not value)] = Field(
        default_factory=dict
    )
    #: what a launch of a network takes, of each quantity that enough networks say
    launches: Annotated[tuple[LaunchFit, ...], Field(exclude_if=lambda value: not value)] = ()
    #: None: the energy of no whole network was measured
    energy: Annotated[EnergyScale | None, Field(exclude_if=lambda value: value is None)] = None

    def predict_ms(self, sum_ms: float) -> float:
        """Latency of a whole network (ms) from the sum of its corrected entries (ms)."""
        return self.scale * sum_ms + self.intercept_ms

    def unlike(
        self, operators: Sequence[OperatorBase], corrected_ms: Sequence[float]
    ) -> tuple[str, ...]:
        """In what a network is unlike all that this was fitted on, in words; empty: in nothing.

        Args:
            operators: of the network.
            corrected_ms: of each, its entry times its factor.
        """
        said = []
        sum_ms = math.fsum(corrected_ms)
        sums = [network.sum_ms for network in self.networks]
        if sums and not min(sums) / MOST_TIMES <= sum_ms <= max(sums) * MOST_TIMES:
            said.append(
                f"its operators add up to {latency_text(sum_ms)}, those of the networks calibrated "
                f"on to {latency_text(min(sums))} to {latency_text(max(sums))}"
            )
        shares, most = family_shares(operators, corrected_ms), self.greatest_shares
        beyond = {name: share - most.get(name, 0.0) for name, share in shares.items()}
        excess = {name: share for name, share in beyond.items() if share > 0}
        if most and sum(excess.values()) > MOST_BEYOND:
            named = sorted(excess, key=lambda name: (-excess[name], name))[:_MOST_NAMED]
            parts = ", ".join(
                f"{shares[name]:.0%} in {name} (there at most {most.get(name, 0.0):.0%})"
                for name in named
            )
            said.append(f"its sum is made of other operators: {parts}")
        return tuple(said)


def family_shares(
    operators: Sequence[OperatorBase], corrected_ms: Sequence[float]
) -> dict[str, float]:
    """What part of a network's sum each family of operators has, 0 to 1."""
    sum_ms = math.fsum(corrected_ms) or 1.0
    shares: dict[str, float] = {}
    for operator, part_ms in zip(operators, corrected_ms, strict=True):
        shares[operator.family] = shares.get(operator.family, 0.0) + part_ms / sum_ms
    return shares
