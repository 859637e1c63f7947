"""Looking into JSON that a text column holds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class JsonText(FunctionElement[str]):
    """A field of the JSON object in a column, as text; NULL where there is none.

    Args:
        column: of text.
        name: of the field; has no quotation mark in it.
    """

    type = Text()
    inherit_cache = True
    name = "json_text"

    def __init__(self, column: InstrumentedAttribute[Any] | ColumnElement[Any], name: str) -> None:
        super().__init__(column, literal(name, Text()))


@compiles(JsonText)
def _on_postgresql(element: JsonText, compiler: SQLCompiler, **options: Any) -> str:
    column, name = (compiler.process(one, **options) for one in element.clauses)
    return f"(CAST({column} AS JSON) ->> CAST({name} AS TEXT))"


@compiles(JsonText, "sqlite")
def _on_sqlite(element: JsonText, compiler: SQLCompiler, **options: Any) -> str:
    column, name = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST(json_extract({column}, '$.\"' || {name} || '\"') AS TEXT)"
