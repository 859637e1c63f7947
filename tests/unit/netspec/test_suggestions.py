import pytest

from netspec.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("demmo", "did you mean 'demo'?"),
        ("cifr", "did you mean 'cifar'?"),
        ("zzz", "expected one of: cifar, demo, proxylessnas"),
        ("", "expected one of: cifar, demo, proxylessnas"),
    ],
)
def test_the_likeliest_words_are_named_else_all(word: str, says: str) -> None:
    assert did_you_mean(word, ["proxylessnas", "demo", "cifar"]) == says


def test_a_long_list_ends_in_dots() -> None:
    said = did_you_mean("?", [f"name{number:02}" for number in range(30)])
    assert said.endswith("name19, ...")
