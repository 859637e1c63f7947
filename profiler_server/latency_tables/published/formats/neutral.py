"""A format for anybody's latencies: CSV with a header, or JSON lines, of the same fields.

`ms` is the latency. The operator is its canonical `key`, or its fields, as in look-ups: `kind`,
`input_size`, `in_channels`, `out_channels` and those that only some kinds have. `count`, and
`std_ms` (of the runs) or `low_ms` and `high_ms` (the 95 % interval), are optional. `precision`
may be a column, be in the keys, or be said of the whole file. Lines of a CSV file that begin with
`#` and JSON objects whose only field is `header` are for people.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError

from netspec.errors import InvalidSpec
from netspec.operators import Operator, Precision, operator_from_key, registered_operators
from netspec.suggestions import did_you_mean
from netspec.validation import FrozenModel, first_problem
from profiler_server.latency_tables.published.formats.table import (
    Price,
    ReadTable,
    TableFormat,
    TableToWrite,
    TableUnreadable,
    Unrepresentable,
    WrittenTable,
    first_of,
    make_operator,
    normal_price,
    require_length,
)

_HEADER = "header"
#: of an operator, those of kinds that packages have added included
_OPERATOR_FIELDS = {
    name for kind in registered_operators() for name in kind.model_fields if name != "precision"
}

_Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
#: a line's number, and its fields that are not empty
Row = tuple[int, dict[str, Any]]


class Latency(FrozenModel):
    """What a line says but for the operator."""

    ms: _Milliseconds
    count: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    std_ms: _Milliseconds | None = None
    low_ms: _Milliseconds | None = None
    high_ms: _Milliseconds | None = None
    precision: Precision | None = None
    key: Annotated[str, Field(max_length=500)] | None = None

    def price(self, operator: Operator) -> Price:
        """What the line says of its operator.

        Raises:
            Unrepresentable: the spread is said in two ways, or is none.
        """
        ends = (self.low_ms, self.high_ms)
        if ends == (None, None):
            return normal_price(operator, self.ms, self.std_ms or 0.0, self.count)
        low, high = ends
        if self.std_ms is not None or low is None or high is None or not low <= self.ms <= high:
            raise Unrepresentable("give std_ms, or low_ms and high_ms around ms")
        return Price(operator, self.ms, low, high, self.count)


def _read_csv(text: str) -> Iterator[Row]:
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    rows = csv.DictReader(lines[begin:], strict=True)
    try:
        names = rows.fieldnames or []
        if "" in names or len(set(names)) != len(names):
            raise TableUnreadable(f"the header {','.join(names)!r} names a column twice or not")
        for row in rows:
            if None in row or None in row.values():
                raise TableUnreadable(f"line {begin + rows.line_num} has not {len(names)} cells")
            yield begin + rows.line_num, {name: value for name, value in row.items() if value}
    except csv.Error as error:
        raise TableUnreadable(f"line {begin + rows.line_num} is no CSV: {error}") from error


def _read_json_lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TableUnreadable(f"line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise TableUnreadable(f"line {number} is no JSON object of a key or fields, and ms")
        if row.keys() != {_HEADER}:
            yield number, {name: value for name, value in row.items() if value is not None}


def _read(
    text: str, precision: Precision | None, rows_of: Callable[[str], Iterator[Row]]
) -> ReadTable:
    """The prices of a document, of which every line must be well-formed.

    Raises:
        TableUnreadable: it is no such document, names an operator twice, or has no or another
            precision.
    """
    require_length(text)
    rows = list(rows_of(text))
    if not rows:
        raise TableUnreadable("the table is empty; expected a line for each operator")
    _require_known_names(rows)
    prices: list[Price] = []
    left_out: dict[str, str] = {}
    malformed: list[str] = []
    for number, row in rows:
        try:
            said = {name: value for name, value in row.items() if name in Latency.model_fields}
            latency = Latency.model_validate(said)
            prices.append(latency.price(_operator(row, latency, precision)))
        except ValidationError as error:
            malformed.append(f"line {number} ({first_problem(error, Latency)})")
        except _NoPrecision as error:
            malformed.append(f"line {number} ({error})")
        except Unrepresentable as why:
            left_out[f"line {number}"] = str(why)
    if malformed:
        raise TableUnreadable(f"{len(malformed)} lines are not right: {first_of(malformed)}")
    counts = Counter(price.operator.key for price in prices)
    if repeated := sorted(key for key, count in counts.items() if count > 1):
        raise TableUnreadable(f"operators are given twice: {first_of(repeated)}")
    return ReadTable(tuple(prices), left_out)


class _NoPrecision(Exception):
    """A line says no precision, or another one than the whole file's."""


def _operator(row: Mapping[str, Any], latency: Latency, precision: Precision | None) -> Operator:
    fields = {name: value for name, value in row.items() if name in _OPERATOR_FIELDS}
    if (latency.key is None) == (not fields):
        raise Unrepresentable("give either `key`, or an operator's fields")
    if latency.key is not None:
        try:
            operator = operator_from_key(latency.key)
        except InvalidSpec as error:
            raise Unrepresentable(str(error)) from error
        said: Precision | None = operator.precision
        if latency.precision not in (None, said):
            raise _NoPrecision(f"precision {latency.precision}, but the key says {said}")
    else:
        said = latency.precision or precision
    if said is None:
        raise _NoPrecision("no precision; give a column `precision`, or --precision")
    if precision not in (None, said):
        raise _NoPrecision(f"{said}, not {precision}; leave --precision out, or split the file")
    if latency.key is not None:
        return operator
    return make_operator(
        **{name: int(one) if str(one).isdecimal() else one for name, one in fields.items()},
        precision=said,
    )


def _require_known_names(rows: Sequence[Row]) -> None:
    known = {*Latency.model_fields, *_OPERATOR_FIELDS}
    for number, row in rows:
        if strange := sorted(row.keys() - known):
            raise TableUnreadable(
                f"line {number}: there is no column {strange[0]!r}; "
                f"{did_you_mean(str(strange[0]), known)}"
            )


def _write_csv(table: TableToWrite) -> WrittenTable:
    """The document of a table, with the ends of the intervals."""
    output = io.StringIO()
    if table.header:
        output.write(f"# {table.header}\n")
    names = list(_fields(table.prices[0])) if table.prices else []
    rows = csv.DictWriter(output, names, lineterminator="\n")
    rows.writeheader()
    rows.writerows(map(_fields, table.prices))
    return WrittenTable(output.getvalue())


def _write_json_lines(table: TableToWrite) -> WrittenTable:
    """The document of a table, with the ends of the intervals."""
    header = [{_HEADER: table.header}] if table.header else []
    lines = [*header, *map(_fields, table.prices)]
    return WrittenTable("".join(json.dumps(line) + "\n" for line in lines))


def _fields(price: Price) -> dict[str, Any]:
    return {
        "key": price.operator.key,
        "precision": price.operator.precision,
        "ms": price.value_ms,
        "low_ms": min(price.low_ms, price.value_ms),
        "high_ms": max(price.high_ms, price.value_ms),
        "count": max(price.count, 1),
    }


def _format(
    rows_of: Callable[[str], Iterator[Row]], write: Callable[[TableToWrite], WrittenTable]
) -> TableFormat:
    return TableFormat(
        names_precision=True,
        names_device=False,
        names_target=False,
        has_header=True,
        read=lambda text, precision: _read(text, precision, rows_of),
        write=write,
    )


CSV = _format(_read_csv, _write_csv)
JSONL = _format(_read_json_lines, _write_json_lines)
