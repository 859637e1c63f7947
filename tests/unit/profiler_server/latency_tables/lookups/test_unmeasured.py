"""Predictions out of a table, kept while the table stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from netspec.operators import Operator
from profiler_server.entries.priced_operators import Table
from profiler_server.latency_model.predictor import LEAST_ENTRIES
from profiler_server.latency_tables.lookups import unmeasured
from profiler_server.latency_tables.lookups.unmeasured import OperatorModels
from tests.unit.profiler_server.calibrations import entry
from tests.unit.profiler_server.latency_model.machine import SPACE, latency_ms

OPERATORS = SPACE.operators()
#: of every kind and kernel size, and the others
SEEN, UNSEEN = (*OPERATORS[::2], OPERATORS[-1]), OPERATORS[1:-1:2]


def table(operators: Sequence[Operator]) -> Table:
    return {one.key: (one, entry(one, latency_ms(one))) for one in operators}


def test_the_same_entries_give_the_same_predictions_in_any_order() -> None:
    first = OperatorModels().predict(table(SEEN), UNSEEN)
    assert OperatorModels().predict(table(SEEN[::-1]), UNSEEN[::-1]) == first
    assert set(first.predicted) == {one.key for one in UNSEEN}


def test_a_model_is_fitted_once_for_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    models = OperatorModels()
    first = models.predict(table(SEEN), UNSEEN[:1])
    with monkeypatch.context() as patched:
        patched.setattr(unmeasured, "OperatorModel", None)
        assert models.predict(table(SEEN), [UNSEEN[0], UNSEEN[0]]) == first
    changed = table(SEEN) | {SEEN[5].key: (SEEN[5], entry(SEEN[5], 2 * latency_ms(SEEN[5])))}
    assert models.predict(changed, UNSEEN[:1]) != first


def test_a_table_too_small_to_learn_from_tells_nothing() -> None:
    assert OperatorModels().predict(table(SEEN[: LEAST_ENTRIES - 1]), UNSEEN).predicted == {}
    assert OperatorModels().predict(table(SEEN), []).predicted == {}
