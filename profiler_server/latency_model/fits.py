"""The three models of a calibration, all linear and all fitted to relative errors.

With `a` a network's sum of entries over its measured latency `m`, the model says
`1 = F beta + A c + i / m + noise`. `F` holds what is fitted freely: `a` for the scale, `1 / m` for
a free intercept. Ridge has, normal around 0, an intercept `i` and corrections `c` of the operators:
a part of each one's own, one that operators of a group share, the more the nearer they are in size,
and one that grows with the weights that an operator reads, which it finds in the caches when it is
repeated by itself, and not inside a network. That is kriging with a drift: weights of the networks
come in closed form out of a [networks, networks] system, however many operators there are. Source:
Rasmussen and Williams, "Gaussian Processes for Machine Learning", section 2.7; leaving one out:
Dubrule (1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from profiler_server.latency_model.design import Array, Design

Kind = Literal["scale", "scale_intercept", "ridge"]

#: how far single operators are off inside a network, over what their entries say, of ridge's
#: candidates; from "the networks say little of single operators" to "they say nearly all"
RIDGE_STRENGTHS = (0.25, 1.0, 4.0)
#: how far whole groups of operators are off, relative
GROUP_SPREAD = 0.1
#: how far the average network is off because its weights are not in the caches, relative
WEIGHTS_SPREAD = 0.05
#: what every network costs besides its operators, over what the usual one costs
INTERCEPT_SPREAD = 0.01
#: noise of a network's latency that no model explains, relative
NOISE = 0.01
#: fewest networks that a model is tried on
LEAST_NETWORKS: dict[Kind, int] = {"scale": 1, "scale_intercept": 4, "ridge": 4}
#: by how much sums must differ, relative, to tell an intercept from a scale
LEAST_CONTRAST = 1e-4
#: residual of a network without which there is no fit, or none that floats can hold
UNPREDICTED = 1e6


@dataclass(frozen=True)
class Model:
    """A kind of model, with ridge's strength."""

    kind: Kind
    #: 0 where nothing is corrected
    strength: float = 0.0

    @property
    def label(self) -> str:
        """For people."""
        return f"ridge {self.strength:g}" if self.kind == "ridge" else self.kind


#: from simple to rich
MODELS = (
    Model("scale"),
    Model("scale_intercept"),
    *(Model("ridge", strength) for strength in RIDGE_STRENGTHS),
)

#: holds unless the networks clearly prefer another: it shrinks to the scale by itself where
#: they say little, see docs/decisions/usual-calibration.md
USUAL = Model("ridge", 1.0)


@dataclass(frozen=True)
class Fit:
    """network = scale * sum of factor * entry + intercept."""

    model: Model
    scale: float
    intercept_ms: float
    #: of each operator of the design, 1 where nothing is corrected [operators]
    factors: Array

    def predict_ms(self, counts: Array, values_ms: Array) -> Array:
        """Latencies (ms) of networks [networks, operators] of the fitted operators."""
        return self.scale * (counts @ (values_ms * self.factors)) + self.intercept_ms

    @property
    def is_sound(self) -> bool:
        """Whether every price stays above 0."""
        prices = (self.scale, *self.factors)
        return bool(np.isfinite(prices).all()) and min(prices) > 0


def candidates(design: Design) -> tuple[Model, ...]:
    """The models that the networks can support: always the scale.

    Networks of one sum cannot tell an intercept from a scale; that they can must not hang on a
    single network, as each is left out in turn.
    """
    sums = np.sort(design.sums_ms)
    enough = [model for model in MODELS if len(sums) >= LEAST_NETWORKS[model.kind]]
    if len(sums) > 1 and min(sums[-2] / sums[0], sums[-1] / sums[1]) < 1 + LEAST_CONTRAST:
        enough = [model for model in enough if model.kind != "scale_intercept"]
    return tuple(enough)


def fit(design: Design, model: Model) -> Fit:
    """The model fitted to every network of the design.

    A free coefficient that the networks say nothing of is 0, which is not sound for the scale.
    """
    drift, shares, precision = _system(design, model)
    ones = np.ones(len(design))
    weighted = precision @ drift
    beta = _inverse(drift.T @ weighted) @ (weighted.T @ ones)
    unexplained = precision @ (ones - drift @ beta)
    corrections = _covariance_times(design, model, shares.T @ unexplained)
    intercept_ms = _intercept_variance(design, model) * (unexplained / design.measured_ms).sum()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factors = 1.0 + corrections / beta[0]
    return Fit(
        model=model,
        scale=float(beta[0]),
        intercept_ms=float(beta[1] if model.kind == "scale_intercept" else intercept_ms),
        factors=factors,
    )


def corrections(design: Design, model: Model) -> Array:
    """Prior covariance of the operators' corrections [operators, operators]."""
    return _covariance_times(design, model, np.eye(len(design.keys)))


def left_out_residuals(design: Design, model: Model) -> Array:
    """1 - predicted / measured of each network, fitted on all others [networks].

    One factorisation instead of a fit a network. At most `UNPREDICTED`, either way.
    """
    drift, _, precision = _system(design, model)
    weighted = precision @ drift
    reduced = precision - weighted @ _inverse(drift.T @ weighted) @ weighted.T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        residuals = reduced.sum(axis=1) / np.diag(reduced)
    residuals = np.nan_to_num(residuals, nan=UNPREDICTED)
    return np.asarray(np.clip(residuals, -UNPREDICTED, UNPREDICTED))


def _inverse(information: Array) -> Array:
    """Of [free, free], as far as it has one; columns may differ by orders of magnitude."""
    sizes = np.sqrt(np.abs(np.diag(information)))
    sizes = np.where(sizes > 0, sizes, 1.0)
    units = np.outer(sizes, sizes)
    return np.asarray(np.linalg.pinv(information / units, hermitian=True) / units)


def _system(design: Design, model: Model) -> tuple[Array, Array, Array]:
    """Drift [networks, free], shares [networks, operators], inverse covariance of networks."""
    shares = design.counts * design.values_ms / design.measured_ms[:, None]
    free = [shares.sum(axis=1)]
    if model.kind == "scale_intercept":
        free.append(1 / design.measured_ms)
    noise = NOISE**2 + design.relative_errors**2
    explained = shares @ _covariance_times(design, model, shares.T)
    inverses = 1 / design.measured_ms
    explained += _intercept_variance(design, model) * np.outer(inverses, inverses)
    # However large the corrections may be, rounding must not leave a singular matrix.
    rounding = len(design) * np.finfo(np.float64).eps * np.trace(explained)
    covariance = np.diag(noise + rounding) + explained
    return np.stack(free, axis=1), shares, np.asarray(np.linalg.inv(covariance))


def _intercept_variance(design: Design, model: Model) -> float:
    """Prior variance of ridge's intercept, ms squared; the other models' has none."""
    return (INTERCEPT_SPREAD * design.usual_ms) ** 2 if model.strength else 0.0


def _covariance_times(design: Design, model: Model, columns: Array) -> Array:
    """Prior covariance of the corrections times columns [operators, any] or one [operators].

    Each operator's own part, its cell's, and that of its weights.
    """
    if not model.strength:
        return np.zeros_like(columns)
    own = (columns.T * design.spreads**2).T
    totals = np.zeros((len(design.likeness), *columns.shape[1:]))
    np.add.at(totals, design.cells, columns)
    weights = np.multiply.outer(design.weight_rates, design.weight_rates @ columns)
    return np.asarray(
        model.strength**2 * own
        + GROUP_SPREAD**2 * (design.likeness @ totals)[design.cells]
        + WEIGHTS_SPREAD**2 * weights
    )
