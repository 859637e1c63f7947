"""Is a table still true? Fresh random networks, predicted first and then measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from netspec.client import LatencyTable, ProfilerClient
from netspec.errors import UserError
from netspec.networks import Network
from netspec.operators import Precision
from netspec.prediction_error import Accuracy, accuracy
from netspec.sampling import random_network
from netspec.spaces import Space
from netspec.validation import FrozenModel
from netspec.wire import Calibration, JobRequest, Target
from search_client.progress import Stages
from search_client.stages.measure import measure

#: draws for each network that is wanted, before a space counts as too small
_DRAWS = 50
#: of the files that a plot may be written to
PLOT_ENDINGS = (".svg", ".png")

#: share of networks that an interval promises to hold, and the chance below which it does not
_LEVEL, _CHANCE = 0.95, 0.01


class Validated(FrozenModel):
    """One network, predicted and measured."""

    name: str
    predicted_ms: float
    #: 95 % prediction interval, None where the calibration has none
    low_ms: float | None
    high_ms: float | None
    measured_ms: float

    @property
    def error_percent(self) -> float:
        """Of the prediction."""
        return 100 * (self.predicted_ms / self.measured_ms - 1)

    @property
    def is_inside(self) -> bool | None:
        """Whether the measurement lies in the interval, None where there is none."""
        if self.low_ms is None or self.high_ms is None:
            return None
        return self.low_ms <= self.measured_ms <= self.high_ms


@dataclass(frozen=True)
class Validation:
    """What fresh networks say of a snapshot's predictions in one precision."""

    snapshot_id: str
    calibration: Calibration
    #: fastest first, as predicted
    networks: tuple[Validated, ...]

    @property
    def precision(self) -> Precision:
        """Of the networks."""
        return self.calibration.precision

    @property
    def error(self) -> Accuracy:
        """Over all networks."""
        return accuracy(
            [network.name for network in self.networks],
            np.array([network.predicted_ms for network in self.networks]),
            np.array([network.measured_ms for network in self.networks]),
        )

    @property
    def coverage(self) -> float | None:
        """Share of the networks within their interval, None where there is none."""
        inside = [network.is_inside for network in self.networks if network.is_inside is not None]
        return sum(inside) / len(inside) if inside else None

    @property
    def interval_holds(self) -> bool:
        """Whether so few networks inside can be chance, at 1 %, for an interval of 95 %."""
        inside = [network.is_inside for network in self.networks if network.is_inside is not None]
        return bool(binom.cdf(sum(inside), len(inside), _LEVEL) >= _CHANCE)


@dataclass(frozen=True)
class PredictedNetworks:
    """Fresh networks and what a snapshot says of them; all that can go wrong before a visit has."""

    snapshot_id: str
    calibration: Calibration
    networks: tuple[Network, ...]
    #: of each
    predicted_ms: tuple[float, ...]


def predict(table: LatencyTable, space: Space, networks: int, seed: int) -> PredictedNetworks:
    """Draws random networks, and predicts them by a table.

    Args:
        table: that is checked.
        space: where the networks are drawn from, in the precision that is checked.
        networks: how many; none of them took part in the calibration.
        seed: same seed, same networks.

    Raises:
        NoCalibration: no whole network was measured in this precision.
        MissingEntries: the table lacks operators of the space.
        UserError: the space has too few networks.
    """
    calibration = table.calibration(space.precision)
    table.values_ms(space.operators())
    drawn = fresh_networks(space, calibration, networks, seed)
    predicted_ms = tuple(map(table.predict_ms, drawn))
    return PredictedNetworks(table.snapshot.id, calibration, tuple(drawn), predicted_ms)


def validate(
    client: ProfilerClient,
    target: Target,
    predicted: PredictedNetworks,
    *,
    rounds: int,
    stages: Stages,
) -> Validation:
    """Measures networks that were predicted.

    Args:
        client: of the profiler.
        target: whose table is checked.
        predicted: by the table.
        rounds: visits of each network.
        stages: shows the progress.

    Raises:
        JobFailed: something could not be measured.
    """
    calibration = predicted.calibration
    request = JobRequest(
        name=f"validation in {calibration.precision}",
        target_id=target.id,
        networks=predicted.networks,
        rounds=rounds,
    )
    job = measure(client, request, f"{calibration.precision} networks", stages)
    entries = client.entries(job.id)
    rows = [
        _validated(network, one_ms, calibration, entries[network.content_hash].value_ms)
        for network, one_ms in zip(predicted.networks, predicted.predicted_ms, strict=True)
    ]
    rows.sort(key=lambda one: one.predicted_ms)
    return Validation(predicted.snapshot_id, calibration, tuple(rows))


def fresh_networks(space: Space, calibration: Calibration, count: int, seed: int) -> list[Network]:
    """Distinct random networks that a calibration was not fitted on.

    Raises:
        UserError: the space has too few.
    """
    used = {one.subject_hash for one in calibration.networks}
    rng = np.random.default_rng(seed)
    found: dict[str, Network] = {}
    for _ in range(_DRAWS * count):
        network = random_network(space, rng)
        if network.content_hash not in used:
            found[network.content_hash] = network
        if len(found) == count:
            return list(found.values())
    raise UserError(
        f"the space has hardly {count} networks beside the {len(used)} of the calibration; "
        f"ask for at most {len(found)} with --networks"
    )


def _validated(
    network: Network, predicted_ms: float, calibration: Calibration, measured_ms: float
) -> Validated:
    factor = calibration.interval_factor
    return Validated(
        name=network.name,
        predicted_ms=predicted_ms,
        low_ms=predicted_ms / factor if factor else None,
        high_ms=predicted_ms * factor if factor else None,
        measured_ms=measured_ms,
    )
