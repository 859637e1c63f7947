from __future__ import annotations

import json
import sys

import pandas as pd
import pyarrow as pa
import pytest

from netspec.client import LatencyTable
from netspec.errors import UserError
from netspec.operators import Classifier, MBConv, StemConv, registered_operators
from netspec.wire import Entry
from netspec.wire.columns import COLUMNS, ENTRY_COLUMNS, OPERATOR_FIELDS, columns_of
from tests.unit.search_client.tables import IDENTITY, calibration, snapshot

STEM = StemConv(input_size=17, in_channels=3, out_channels=8, stride=2)
BLOCK = MBConv(
    input_size=9, in_channels=8, out_channels=8, kernel=5, expand=6, residual=True, precision="int8"
)
LAST = Classifier(input_size=9, in_channels=8, out_channels=10)
CORRECTED = calibration("int8", 1.1).model_copy(
    update={"model": "ridge", "factors": {BLOCK.key: 1.5}}
)
SNAPSHOT = snapshot({LAST: 0.125, BLOCK: 0.5, STEM: 0.25}, [CORRECTED])
TABLE = LatencyTable(SNAPSHOT)


def test_a_row_says_what_was_measured_on_what() -> None:
    columns = columns_of(SNAPSHOT)
    assert tuple(columns) == COLUMNS
    row = {name: values[1] for name, values in columns.items()}
    expected = {
        "name": BLOCK.key,
        "operator": "mbconv",
        "kernel": 5,
        "expand": 6,
        "stride": 1,
        "input_size": 9,
        "output_size": 9,
        "in_channels": 8,
        "out_channels": 8,
        "residual": True,
        "activation": "relu6",
        "precision": "int8",
        "value_ms": 0.5,
        "corrected_ms": 0.75,
        "method": "isolated",
        "target_id": IDENTITY.id,
        "runtime": IDENTITY.runtime,
        "snapshot_id": SNAPSHOT.id,
    }
    assert expected.items() <= row.items()


def test_rows_keep_the_order_of_the_entries_and_have_nothing_where_there_is_nothing() -> None:
    columns = columns_of(SNAPSHOT)
    assert columns["name"] == [LAST.key, BLOCK.key, STEM.key]
    assert columns["kernel"] == [None, 5, 3]
    assert columns["output_size"] == [1, 9, 9]
    assert columns["residual"] == [None, True, None]
    assert columns["corrected_ms"] == [0.125, 0.75, 0.25]


def test_every_field_of_an_entry_and_of_an_operator_is_a_column() -> None:
    # An entry that is held back is in no snapshot, and an energy has columns of its own.
    assert set(Entry.model_fields) - {"held_back", "energy"} == set(ENTRY_COLUMNS)
    fields = {name for kind in registered_operators() for name in kind.model_fields}
    # `kind` is the column `operator`, and an entry's precision is its operator's.
    assert fields | {"output_size"} == {*OPERATOR_FIELDS, "kind", "precision"}


def test_arrow_has_types_and_the_rest_as_metadata() -> None:
    table = TABLE.to_arrow()
    assert table.column_names == list(COLUMNS)
    assert table.to_pydict() == columns_of(SNAPSHOT)
    assert table.schema.field("kernel").type == pa.int64()
    assert table.schema.field("corrected_ms").type == pa.float64()
    assert table.schema.field("residual").type == pa.bool_()
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert json.loads(metadata["calibrations"])[0]["factors"] == {BLOCK.key: 1.5}


def test_pandas_sums_what_the_table_predicts() -> None:
    frame = TABLE.to_pandas()
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame.name) == [LAST.key, BLOCK.key, STEM.key]
    assert frame.kernel.tolist() == [pd.NA, 5, 3]
    assert frame.dtypes["kernel"] == "Int64"
    assert frame.dtypes["residual"] == "boolean"
    assert frame.dtypes["value_ms"] == "float64"
    priced = frame.set_index("name").corrected_ms
    assert priced[[STEM.key, BLOCK.key]].sum() == sum(TABLE.values_ms([STEM, BLOCK]))


@pytest.mark.parametrize(("package", "extra"), [("pandas", "pandas"), ("pyarrow", "arrow")])
def test_a_package_that_is_absent_is_a_sentence(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    convert = TABLE.to_pandas if package == "pandas" else TABLE.to_arrow
    with pytest.raises(UserError, match=rf"needs the package {package}, .* extra `{extra}`"):
        convert()
