"""Load time, first inference and peak memory of whole networks, out of stored entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import get_args

import numpy as np

from netspec.costs import footprint
from netspec.prediction_error import accuracy
from netspec.wire import Entry, HeldOutError, LaunchFit, LaunchQuantity, NetworkSubject
from profiler_server.latency_model.shares import fit_shares, left_out_predictions

#: fewest networks that say a quantity; by fewer nobody can tell how far a fit is off
LEAST_NETWORKS = 5
#: what each quantity grows with, beside what every launch takes
_GROWS_WITH: MappingProxyType[LaunchQuantity, tuple[str, ...]] = MappingProxyType(
    {
        "load_ms": ("per_weight_byte",),
        "first_inference_ms": ("per_latency_ms", "per_weight_byte"),
        "peak_memory_bytes": ("per_weight_byte", "per_map_byte"),
    }
)


def launch_fits(networks: Sequence[tuple[NetworkSubject, Entry]]) -> tuple[LaunchFit, ...]:
    """A fit of each quantity that at least `LEAST_NETWORKS` of the networks say."""
    fits = (_fit(quantity, networks) for quantity in get_args(LaunchQuantity))
    return tuple(fit for fit in fits if fit is not None)


def _fit(
    quantity: LaunchQuantity, networks: Sequence[tuple[NetworkSubject, Entry]]
) -> LaunchFit | None:
    telling = [one for one in networks if getattr(one[1], quantity)]
    if len(telling) < LEAST_NETWORKS:
        return None
    measured = np.array([getattr(entry, quantity) for _, entry in telling], dtype=np.float64)
    rows = [_row(subject, entry) for subject, entry in telling]
    names = ("fixed", *_GROWS_WITH[quantity])
    columns = np.array([[row[name] for name in names] for row in rows])
    held_out = accuracy(
        [subject.name for subject, _ in telling], left_out_predictions(columns, measured), measured
    )
    shares = dict(zip(names, fit_shares(columns, measured).tolist(), strict=True))
    return LaunchFit(
        quantity=quantity,
        fixed=shares["fixed"],
        per_latency_ms=shares.get("per_latency_ms", 0.0),
        per_weight_byte=shares.get("per_weight_byte", 0.0),
        per_map_byte=shares.get("per_map_byte", 0.0),
        held_out=HeldOutError(**asdict(held_out)),
    )


def _row(subject: NetworkSubject, entry: Entry) -> dict[str, float]:
    size = footprint(subject.network.operators)
    return {
        "fixed": 1.0,
        "per_latency_ms": entry.value_ms,
        "per_weight_byte": size.weight_bytes,
        "per_map_byte": size.map_bytes,
    }
