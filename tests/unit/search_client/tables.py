"""Made-up latency tables: nothing here was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netspec.operators import PRECISIONS, Operator, Precision
from netspec.wire import Calibration, Snapshot
from search_client.recipe import Recipe
from tests.made_up import WHEN, identity, operator_entry

IDENTITY = identity()


def calibration(precision: Precision, scale: float, intercept_ms: float = 0.0) -> Calibration:
    return Calibration(
        precision=precision, scale=scale, intercept_ms=intercept_ms, networks=(), held_out=None
    )


def costs_around_the_baseline(settings: Recipe) -> dict[Operator, float]:
    """Return ms of a recipe's operators, a MobileNetV2's latency among those of its space."""
    costs = dict.fromkeys(settings.operators(), 0.1)
    for precision in PRECISIONS:
        # With a reference of its own the recipe needs no operators of the baseline.
        aimed = settings.model_copy(update={"precision": precision, "latency_ref_ms": 1.0})
        searched = aimed.searched_operators()
        costs.update({operator: 0.1 + index / 100 for index, operator in enumerate(searched)})
    return costs


def snapshot(
    values_ms: Mapping[Operator, float], calibrations: Iterable[Calibration] = ()
) -> Snapshot:
    return Snapshot(
        id="cd" * 32,
        target_id=IDENTITY.id,
        identity=IDENTITY,
        created_at=WHEN,
        entries=tuple(operator_entry(operator, value) for operator, value in values_ms.items()),
        calibrations=tuple(calibrations),
    )
