from dataclasses import dataclass

import pytest

from netspec.console.short_ids import is_whole, the_only
from netspec.errors import UnknownId


@dataclass(frozen=True)
class Item:
    id: str
    name: str = ""


ITEMS = [
    Item("job_0123456789abcdef", "first"),
    Item("job_0129456789abcdef", "firstborn"),
    Item("job_ffffffffffffffff"),
]


@pytest.mark.parametrize(
    ("beginning", "found"),
    [
        ("ff", 2),
        ("job_f", 2),
        ("0123", 0),
        ("job_0129456789abcdef", 1),
        ("firstb", 1),
        # Whole names come before those that go on.
        ("first", 0),
    ],
)
def test_a_beginning_that_one_item_has_names_it(beginning: str, found: int) -> None:
    given = the_only("job", ITEMS, beginning, "list", names=lambda item: [item.id, item.name])
    assert given == ITEMS[found]


@pytest.mark.parametrize(
    ("beginning", "message"),
    [
        (
            "e",
            (
                r"no job begins with 'e'; there are: job_0123456789abcdef \(first\), .*, "
                r"job_ffffffffffffffff; `list them` lists all"
            ),
        ),
        (
            "012",
            (
                r"2 jobs begin with '012': job_0123456789abcdef \(first\), "
                r"job_0129456789abcdef \(firstborn\); type more of the id"
            ),
        ),
        ("job", r"3 jobs begin with 'job'"),
        ("", r"3 jobs begin with ''"),
    ],
)
def test_a_beginning_that_none_or_several_have_is_refused(beginning: str, message: str) -> None:
    with pytest.raises(UnknownId, match=message):
        _refused(ITEMS, beginning)


def test_many_candidates_are_not_all_listed() -> None:
    many = [Item(f"job_{number:016x}") for number in range(9)]
    with pytest.raises(UnknownId, match=r"9 jobs .*0004 and 4 more; type"):
        _refused(many, "0")


def test_where_there_is_nothing_to_name() -> None:
    with pytest.raises(UnknownId, match="no job begins with '0'; there are: none; `list them`"):
        _refused([], "0")


def _refused(items: list[Item], beginning: str) -> None:
    the_only(
        "job",
        items,
        beginning,
        "list them",
        names=lambda item: [item.id],
        label=lambda item: item.name,
    )


def test_whole_ids_are_told_from_beginnings() -> None:
    assert is_whole("job_0123456789abcdef")
    assert not is_whole("job_0123")
    assert not is_whole("../v1/jobs")
