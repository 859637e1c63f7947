from hypothesis import given
from hypothesis import strategies as st

from device_agent.text import clean, one_line, printed


def test_what_is_no_text_is_shown_as_its_bytes() -> None:
    assert printed("24 °C\n".encode()) == "24 °C\n"
    assert printed(b"a\0b\xff\xfe") == r"a\x00b\xff\xfe"


@given(st.binary())
def test_any_bytes_become_text_that_can_be_sent_and_stored(said: bytes) -> None:
    text = printed(said)
    assert "\0" not in text
    assert text.encode("utf-8").decode("utf-8") == text


def test_text_is_cleaned() -> None:
    assert clean("  a\tb\x00\x07 c\n") == "a b c"
    assert len(clean("x" * 300)) == 200
    assert one_line(ValueError("two\n  lines")) == "two lines"
