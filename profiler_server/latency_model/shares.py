"""A quantity as a sum of shares, none below 0, fitted to relative errors."""

from __future__ import annotations

import numpy as np

from profiler_server.latency_model.design import Array


def fit_shares(columns: Array, measured: Array) -> Array:
    """What each column has in the quantity, per unit of it [columns].

    None is below 0: a larger network is never predicted to take less. Source: Lawson and Hanson,
    "Solving Least Squares Problems", chapter 23.

    Args:
        columns: [networks, columns], not below 0.
        measured: the quantity [networks], above 0.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 (heavy, and only needed to publish)

    relative = columns / measured[:, None]
    # Bytes and ms differ by orders of magnitude.
    units = np.maximum(relative.max(axis=0), np.finfo(np.float64).tiny)
    shares, _ = nnls(relative / units, np.ones(len(measured)))
    return np.asarray(shares / units)


def left_out_predictions(columns: Array, measured: Array) -> Array:
    """The quantity of each network by a fit to all others [networks]."""
    others = ~np.eye(len(measured), dtype=bool)
    return np.array(
        [
            row @ fit_shares(columns[kept], measured[kept])
            for row, kept in zip(columns, others, strict=True)
        ]
    )
