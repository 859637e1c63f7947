"""Months of UTC, by which old visits are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

_TEXT = re.compile(r"(\d{4})-(\d{2})")
_MONTHS = 12


@dataclass(frozen=True, order=True)
class Month:
    """One month; `str` is as in `2026-09`."""

    year: int
    #: 1 to 12
    number: int

    @classmethod
    def of(cls, at: datetime) -> Self:
        """The month in which a time lies."""
        in_utc = at.astimezone(UTC)
        return cls(in_utc.year, in_utc.month)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The month that a text names.

        Raises:
            ValueError: it names none.
        """
        found = _TEXT.fullmatch(text)
        if found is None or not 1 <= int(found[2]) <= _MONTHS:
            raise ValueError(f"expected a month such as 2026-09, got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def plus(self, months: int) -> Month:
        """The month so many later, or, with a negative number, earlier."""
        years, before = divmod(self.year * _MONTHS + self.number - 1 + months, _MONTHS)
        return Month(years, before + 1)

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.plus(1).start

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"
