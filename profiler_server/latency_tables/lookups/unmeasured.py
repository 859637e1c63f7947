"""Predictions for operators without entry, kept by a process while the table stays as it is."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from netspec.operators import Operator
from netspec.wire import PredictedLatency
from profiler_server.entries.priced_operators import Table, priced
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.predictor import LEAST_ENTRIES, OperatorModel

#: fitted models that a process keeps
_MOST_MODELS = 16


@dataclass(frozen=True)
class Unmeasured:
    """What a table tells of operators that it has no entry of, by their keys."""

    predicted: dict[str, PredictedLatency]
    #: of those too far from all that was measured, the keys of the measured ones most like them
    too_far: dict[str, tuple[str, ...]]


class OperatorModels:
    """Models of tables, fitted on demand and never stored.

    A model is known by the content of the entries that it was fitted to: as soon as one of
    these changes another model is fitted.
    """

    def __init__(self) -> None:
        self._models: OrderedDict[str, OperatorModel] = OrderedDict()
        self._fitting = threading.Lock()

    def predict(self, table: Table, operators: Sequence[Operator]) -> Unmeasured:
        """Latencies of those operators that the table's entries can tell of.

        Those of a kind or kernel size without any entry are left out, and so are all where the
        table is too small to learn from.

        Args:
            table: entries of one precision.
            operators: of the same precision, without entry.
        """
        prices = {
            key: (operator, priced(entry))
            for key, (operator, entry) in sorted(table.items())
            if entry.value_ms > 0
        }
        if len(prices) < LEAST_ENTRIES or not operators:
            return Unmeasured({}, {})
        model = self._model(prices)
        # Sums round by the order of rows: the same question has the same answer to the last bit.
        ordered = sorted(dict.fromkeys(operators), key=lambda operator: operator.key)
        known = [operator for operator in ordered if model.knows(operator)]
        reached = dict(zip(known, model.reaches(known), strict=True))
        near = [operator for operator in known if reached[operator]]
        return Unmeasured(
            {
                operator.key: PredictedLatency(
                    value_ms=found.value_ms, low_ms=found.low_ms, high_ms=found.high_ms
                )
                for operator, found in zip(near, model.predict(near), strict=True)
            },
            {
                operator.key: tuple(other.key for other in model.nearest(operator))
                for operator in known
                if not reached[operator]
            },
        )

    def _model(self, prices: dict[str, tuple[Operator, Priced]]) -> OperatorModel:
        digest = hashlib.sha256()
        for key, (_, price) in prices.items():
            digest.update(f"{key} {price.value_ms!r} {price.relative_error!r}\n".encode())
        name = digest.hexdigest()
        # One at a time: a fit takes a core for as long as a second.
        with self._fitting:
            model = self._models.get(name)
            if model is None:
                operators, entries = zip(*prices.values(), strict=True)
                model = OperatorModel(operators, entries)
                self._models[name] = model
            self._models.move_to_end(name)
            while len(self._models) > _MOST_MODELS:
                self._models.popitem(last=False)
        return model
