from netspec.errors import MissingEntries, ProfilerRefused, UserError


def test_missing_entries_lists_keys_sorted_and_once() -> None:
    error = MissingEntries("0123", ["b", "a", "b"])
    assert error.keys == ("a", "b")
    assert str(error) == (
        "the table of target 0123 lacks 2 operators: a, b; "
        "profile them with `search-client profile`, or search with --profile-missing"
    )


def test_missing_entries_shows_five_keys_and_holds_all() -> None:
    keys = [f"k{index}" for index in range(7)]
    error = MissingEntries("0123", keys)
    assert error.keys == tuple(keys)
    assert "lacks 7 operators: k0, k1, k2, k3, k4 and 2 more; " in str(error)


def test_what_is_held_back_is_told_apart() -> None:
    error = MissingEntries("0123", ["b", "a"], held_back=["b", "c"])
    assert (error.keys, error.held_back) == (("a", "b"), ("b",))
    lacking, held_back = str(error).split("; ", 1)[0], str(error).rsplit("holds back", 1)[1]
    assert lacking == "the table of target 0123 lacks 1 operators: a"
    assert held_back.startswith(" 1 that its devices disagree about: b; ")
    only = MissingEntries("0123", ["b"], held_back=["b"])
    assert "lacks" not in str(only)


def test_a_refusal_keeps_the_problem() -> None:
    error = ProfilerRefused(404, "unknown-target", "no target 0123")
    assert isinstance(error, UserError)
    assert (error.status, error.kind, str(error)) == (404, "unknown-target", "no target 0123")
