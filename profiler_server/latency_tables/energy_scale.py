"""How operators' energies add up to those of whole networks, out of stored entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from netspec.prediction_error import accuracy
from netspec.wire import EnergyScale, Entry, HeldOutError, NetworkSubject
from profiler_server.entries.priced_operators import Table
from profiler_server.latency_model.shares import fit_shares, left_out_predictions

#: fewest networks by which the fit to all others says how far it is off
_LEAST_HELD_OUT = 3


def energy_scale(
    table: Table, networks: Sequence[tuple[NetworkSubject, Entry]]
) -> EnergyScale | None:
    """The scale that the networks support; None: no network's energy was measured with its parts'.

    Args:
        table: of one precision, by key.
        networks: of the same, whose operators all have entries.
    """
    known = {key: entry.energy for key, (_, entry) in table.items() if entry.energy is not None}
    sums, measured, names = [], [], []
    for subject, entry in networks:
        parts = [known.get(operator.key) for operator in subject.network.operators]
        sum_mj = sum(part.value_mj for part in parts if part is not None)
        if entry.energy is None or None in parts or min(sum_mj, entry.energy.value_mj) <= 0:
            continue
        sums.append([sum_mj])
        measured.append(entry.energy.value_mj)
        names.append(subject.name)
    if not sums:
        return None
    columns, values = np.array(sums), np.array(measured)
    held_out = None
    if len(names) >= _LEAST_HELD_OUT:
        found = accuracy(names, left_out_predictions(columns, values), values)
        held_out = HeldOutError(**asdict(found))
    return EnergyScale(
        scale=float(fit_shares(columns, values)[0]), networks=len(names), held_out=held_out
    )
