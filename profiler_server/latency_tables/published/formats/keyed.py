"""YAML tables whose keys spell the operator: `type-input:HxWxC-output:HxWxC-option:N...`.

Both formats of this kind give the mean in ms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netspec.operators import Classifier, Operator, OperatorBase, Precision
from netspec.validation import first_problem
from profiler_server.latency_tables.published.formats.table import (
    NORMAL_95,
    ReadTable,
    TableFormat,
    TableToWrite,
    TableUnreadable,
    Unrepresentable,
    WrittenTable,
    first_of,
    normal_price,
    of_kinds,
    require_length,
)

_NUMBER = r"(?:0|[1-9]\d{0,5})"
_KEY = re.compile(
    r"(?P<type>\w+)"
    rf"-input:(?P<ih>{_NUMBER})x(?P<iw>{_NUMBER})x(?P<ic>{_NUMBER})"
    rf"-output:(?:(?P<oh>{_NUMBER})x(?P<ow>{_NUMBER})x)?(?P<oc>{_NUMBER})"
    rf"(?P<options>(?:-[a-z]+:{_NUMBER})*)",
    re.ASCII,
)

_Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=1, le=2**31 - 1)]
    mean: _Milliseconds


class VarRecord(_Record):
    """A record with the runs' variance in ms²."""

    var: _Milliseconds

    @property
    def std_ms(self) -> float:
        """Standard deviation of the runs."""
        return math.sqrt(self.var)


class StdRecord(_Record):
    """A record with the runs' standard deviation in ms."""

    std: _Milliseconds

    @property
    def std_ms(self) -> float:
        """Standard deviation of the runs."""
        return self.std


@dataclass(frozen=True)
class LayerKey:
    """A parsed key. `out_size` is None where the output is a plain number."""

    type: str
    in_size: int
    in_channels: int
    out_size: int | None
    out_channels: int
    options: Mapping[str, int]

    @classmethod
    def of(cls, key: object) -> LayerKey:
        """The layer that a key spells.

        Raises:
            Unrepresentable: it is no key of this kind, or not square.
        """
        match = _KEY.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            raise Unrepresentable("not a key of this format")
        if match["ih"] != match["iw"] or match["oh"] != match["ow"]:
            raise Unrepresentable("not square")
        pairs = [part.split(":") for part in match["options"].split("-") if part]
        options = {name: int(value) for name, value in pairs}
        if len(options) != len(pairs):
            raise Unrepresentable("an option is given twice")
        out_size = None if match["oh"] is None else int(match["oh"])
        return cls(
            type=match["type"],
            in_size=int(match["ih"]),
            in_channels=int(match["ic"]),
            out_size=out_size,
            out_channels=int(match["oc"]),
            options=options,
        )

    @classmethod
    def spelling(cls, operator: Operator, type_: str, options: Mapping[str, int]) -> LayerKey:
        """The layer of an operator; a classifier's output is a plain number."""
        return cls(
            type=type_,
            in_size=operator.input_size,
            in_channels=operator.in_channels,
            out_size=None if isinstance(operator, Classifier) else operator.output_size,
            out_channels=operator.out_channels,
            options=options,
        )

    @property
    def key(self) -> str:
        """The key that spells the layer."""
        side = "" if self.out_size is None else f"{self.out_size}x{self.out_size}x"
        shapes = f"input:{self.in_size}x{self.in_size}x{self.in_channels}-output:{side}"
        options = "".join(f"-{name}:{value}" for name, value in self.options.items())
        return f"{self.type}-{shapes}{self.out_channels}{options}"

    @property
    def fields(self) -> dict[str, int]:
        """What every operator has."""
        return {
            "input_size": self.in_size,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
        }

    def require_options(self, *names: str) -> None:
        """Checks that the key has these options and no others.

        Raises:
            Unrepresentable: it has not; the other format of this kind is named by its options.
        """
        if set(self.options) != set(names):
            got = ", ".join(self.options) or "none"
            wanted = ", ".join(names) or "none"
            raise Unrepresentable(f"expected the options {wanted}, got {got}")

    def require_output(self, operator: Operator) -> Operator:
        """The operator, if its output is the one that the key names.

        Raises:
            Unrepresentable: its output has another side.
        """
        if self.out_size != operator.output_size:
            raise Unrepresentable(
                "the output's side is not the input's, divided by the stride and rounded up"
            )
        return operator


def format_of(
    record_type: type[VarRecord | StdRecord],
    spread: Literal["var", "std"],
    operator_of: Callable[[LayerKey, Precision], Operator],
    layer_of: Callable[[Operator], LayerKey],
    kinds: tuple[type[OperatorBase], ...],
) -> TableFormat:
    """A format of this kind, which names neither precision nor device.

    Args:
        record_type: what its records are.
        spread: what they call the spread of the runs.
        operator_of: the operator of a layer, or raises `Unrepresentable`.
        layer_of: the layer of an operator of those kinds, likewise.
        kinds: of operators that the format has.
    """

    def read(text: str, precision: Precision | None) -> ReadTable:
        if precision is None:
            raise TableUnreadable("the table names no precision; say --precision float32 or int8")
        return _read(text, record_type, lambda layer: operator_of(layer, precision))

    def write(table: TableToWrite) -> WrittenTable:
        return _write(table, spread, lambda operator: layer_of(of_kinds(operator, kinds)))

    return TableFormat(
        names_precision=False,
        names_device=False,
        names_target=False,
        has_header=True,
        read=read,
        write=write,
    )


def _read(
    text: str, record_type: type[VarRecord | StdRecord], operator_of: Callable[[LayerKey], Operator]
) -> ReadTable:
    """The prices of a document, of which every record must be well-formed.

    Raises:
        TableUnreadable: it is no such document; names every record that is malformed.
    """
    prices = []
    left_out: dict[str, str] = {}
    malformed: list[str] = []
    for key, value in _load(text).items():
        try:
            record = record_type.model_validate(value)
        except ValidationError as error:
            malformed.append(f"{key} ({first_problem(error, record_type)})")
            continue
        try:
            operator = operator_of(LayerKey.of(key))
        except Unrepresentable as why:
            left_out[str(key)] = str(why)
        else:
            prices.append(normal_price(operator, record.mean, record.std_ms, record.count))
    if malformed:
        fields = ", ".join(record_type.model_fields)
        raise TableUnreadable(
            f"{len(malformed)} records are not {{{fields}}}: {first_of(malformed)}"
        )
    return ReadTable(tuple(prices), left_out)


def _write(
    table: TableToWrite, spread: str, layer_of: Callable[[Operator], LayerKey]
) -> WrittenTable:
    """The document of a table; `spread` is `var` or `std`."""
    records: dict[str, dict[str, float]] = {}
    left_out: dict[str, str] = {}
    for price in table.prices:
        try:
            key = layer_of(price.operator).key
        except Unrepresentable as why:
            left_out[price.operator.key] = str(why)
            continue
        count = max(price.count, 1)
        std = (price.high_ms - price.value_ms) / NORMAL_95 * math.sqrt(count)
        record = {
            "count": count,
            "mean": price.value_ms,
            spread: std**2 if spread == "var" else std,
        }
        # Two kinds of one computation have one key.
        if records.setdefault(key, record) != record:
            left_out[price.operator.key] = "an operator of the same layers has its record"
    header = f"# {table.header}\n" if table.header else ""
    return WrittenTable(header + yaml.safe_dump(records, sort_keys=False), left_out)


def _load(text: str) -> dict[Any, Any]:
    require_length(text)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _refuse_repeated_keys(node)
        document = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        why = " ".join(str(error).split())
        raise TableUnreadable(f"the table is no YAML that can be read: {why}") from error
    if not isinstance(document, dict) or not document:
        raise TableUnreadable("the table must be a YAML mapping of keys to records")
    return document


def _refuse_repeated_keys(node: yaml.Node | None) -> None:
    # The loader would keep the last one, and say nothing.
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    repeated: set[str] = set()
    for key, _ in node.value:
        name = str(key.value)
        (repeated if name in seen else seen).add(name)
    if repeated:
        raise TableUnreadable(f"keys are given twice: {first_of(sorted(repeated))}")
