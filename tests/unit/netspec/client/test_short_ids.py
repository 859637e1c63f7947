from dataclasses import dataclass

import pytest

from netspec.client import UnknownId
from netspec.client.short_ids import is_whole, the_only


@dataclass(frozen=True)
class Item:
    id: str


ITEMS = [Item("job_0123456789abcdef"), Item("job_0129456789abcdef"), Item("job_ffffffffffffffff")]


@pytest.mark.parametrize(
    ("beginning", "found"), [("f", 2), ("job_f", 2), ("0123", 0), ("job_0129456789abcdef", 1)]
)
def test_a_beginning_that_one_id_has_names_it(beginning: str, found: int) -> None:
    assert the_only("job", ITEMS, beginning, "list them") == ITEMS[found]


@pytest.mark.parametrize(
    ("beginning", "message"),
    [
        ("e", r"no job begins with 'e'; `list them` lists all"),
        ("012", r"2 jobs begin with '012': job_0123456789abcdef, job_0129456789abcdef; type more"),
        ("job", r"3 jobs begin with 'job'"),
    ],
)
def test_a_beginning_that_none_or_several_have_is_refused(beginning: str, message: str) -> None:
    with pytest.raises(UnknownId, match=message):
        the_only("job", ITEMS, beginning, "list them")


def test_many_candidates_are_not_all_listed() -> None:
    many = [Item(f"job_{number:016x}") for number in range(9)]
    with pytest.raises(UnknownId, match=r"9 jobs .*0004, \.\.\.; type"):
        the_only("job", many, "0", "list them")


def test_whole_ids_are_told_from_beginnings() -> None:
    assert is_whole("job_0123456789abcdef")
    assert not is_whole("job_0123")
    assert not is_whole("../v1/jobs")
