"""Which model the measured networks support, and its error on networks that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from netspec.prediction_error import Accuracy, accuracy
from profiler_server.latency_model.design import Array, Design, Indices
from profiler_server.latency_model.fits import (
    USUAL,
    Fit,
    Model,
    candidates,
    fit,
    left_out_residuals,
)
from profiler_server.latency_model.interval import interval_factor

#: folds of the outer cross-validation; as many as networks where there are fewer
FOLDS = 10
#: how sure it must be that a model beats the usual one, one-sided
SURENESS = 0.99
#: fewest networks of which one can be the odd one out
LEAST_DOUBTED = 5
#: beyond so many usual errors a network is doubted
DOUBT_SIGMAS = 2.5
#: ridge's, when it tells which networks are odd
DOUBT_STRENGTH = 1.0
#: from the median absolute deviation of a normal distribution to its standard deviation
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Calibrated:
    """A fitted model with its held-out error."""

    design: Design
    fit: Fit
    #: None for a single network
    held_out: Accuracy | None
    #: see `interval.interval_factor`
    interval_factor: float | None
    #: of each network by a model that has not seen it, ms; None for a single network
    held_out_ms: Array | None


def calibrate(design: Design) -> Calibrated:
    """Chooses a model by cross-validation and fits it to every network.

    The error is that of the whole procedure: in each outer fold the model is chosen and
    fitted again, so no network has a say in how it is predicted itself.
    """
    chosen = choose_and_fit(design)
    predicted_ms = held_out_predictions(design)
    if predicted_ms is None:
        return Calibrated(design, chosen, None, None, None)
    return Calibrated(
        design,
        chosen,
        accuracy(design.names, predicted_ms, design.measured_ms),
        interval_factor(predicted_ms, design.measured_ms),
        predicted_ms,
    )


def choose_and_fit(design: Design) -> Fit:
    """The chosen model's fit; a weaker one's, or the scale's, where it has a price below 0."""
    design = doubted(design)
    tried = candidates(design)
    chosen = choose(design)
    weaker = tried[tried.index(chosen) :: -1]
    fits = (fit(design, model) for model in weaker if model.kind in {chosen.kind, "scale"})
    return next(fitted for fitted in fits if fitted.is_sound)


def doubted(design: Design) -> Design:
    """The design with less weight on networks that disagree with all others.

    Those were disturbed while they were measured, or are unlike what the models can say; either
    way they must not bend the rest. Their errors count in full when they are held out.
    """
    if len(design) < LEAST_DOUBTED:
        return design
    ratios = design.measured_ms / design.sums_ms
    milder = _milder(design, np.abs(ratios / np.median(ratios) - 1))
    richest = candidates(design)[-1]
    if richest.strength:
        model = replace(richest, strength=min(richest.strength, DOUBT_STRENGTH))
        milder = _milder(design, np.abs(left_out_residuals(milder, model)))
    return milder


def _milder(design: Design, sizes: Array) -> Design:
    usual = MAD_TO_SIGMA * float(np.median(sizes))
    excess = np.maximum(sizes - DOUBT_SIGMAS * usual, 0.0)
    return replace(design, relative_errors=np.hypot(design.relative_errors, excess))


def choose(design: Design) -> Model:
    """The usual model, unless another's error is clearly less when each network is left out.

    The scale, where there are too few networks for the usual one.
    """
    tried = candidates(design)
    usual = USUAL if USUAL in tried else tried[0]
    if len(tried) == 1:
        return usual
    sizes = {model: np.abs(left_out_residuals(design, model)) for model in tried}
    rival = min(tried, key=lambda model: float(sizes[model].mean()))
    if rival == usual:
        return usual
    from scipy.special import stdtrit  # noqa: PLC0415 (heavy, and only needed to publish)

    gains = sizes[usual] - sizes[rival]
    doubt = float(gains.std(ddof=1)) / np.sqrt(len(gains))
    # Student's quantile: five networks must agree far better than forty. The rival was picked as
    # the best of several, each of which might have seemed so by accident.
    sureness = 1 - (1 - SURENESS) / (len(tried) - 1)
    return rival if gains.mean() > float(stdtrit(len(gains) - 1, sureness)) * doubt else usual


def held_out_predictions(design: Design) -> Array | None:
    """Each network's latency (ms) by a model chosen and fitted without its fold.

    None for a single network.
    """
    if len(design) == 1:
        return None
    predicted_ms = np.empty(len(design))
    for fold in folds(design):
        others = np.setdiff1d(np.arange(len(design)), fold)
        fitted = choose_and_fit(design.rows(others))
        predicted_ms[fold] = fitted.predict_ms(design.counts[fold], design.values_ms)
    return predicted_ms


def folds(design: Design) -> list[Indices]:
    """Networks of each fold: neighbours in latency go to different ones."""
    order = np.lexsort((np.array(design.names), design.sums_ms))
    return [order[start::FOLDS] for start in range(min(FOLDS, len(design)))]
