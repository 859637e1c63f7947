import pytest

from netspec.console.units import duration_text, latency_text, significant


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [
        (0.0, "0 us"),
        (0.009580461538461538, "9.58 us"),
        (0.00002, "0.0200 us"),
        (0.0009999, "1.00 us"),
        (0.009996, "10.0 us"),
        (0.6, "600 us"),
        (0.9994, "999 us"),
        (0.99951, "1.00 ms"),
        (1.0, "1.00 ms"),
        (4.2849, "4.28 ms"),
        (99.96, "100 ms"),
        (1234.5, "1234 ms"),
        (-0.25, "-250 us"),
    ],
)
def test_a_latency_has_three_digits_and_the_unit_that_is_short(value_ms: float, text: str) -> None:
    assert latency_text(value_ms) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.000012345, "0.0000123"),
        (0.0123456, "0.0123"),
        (1.0, "1.00"),
        (12.34, "12.3"),
        (123.4, "123"),
        (123456.7, "123457"),
    ],
)
def test_three_digits_are_shown_without_powers_of_ten(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (0.34, "0.3 s"),
        (9.97, "10.0 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (75, "1 min 15 s"),
        (3_599.6, "1 h 0 min"),
        (3_720, "1 h 2 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
