"""What is written to stderr while an interpreter is made, by whatever thread."""

import os
import sys
import threading

import pytest

from search_client.deployment.native_messages import without_info

STDERR = 2


def test_all_but_info_is_written_also_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no model"):
        _load()
    assert capfd.readouterr().err == "ERROR: bad model\n"


def _load() -> None:
    with without_info():
        os.write(STDERR, b"INFO: Created a delegate.\nERROR: bad model\nINFO: and so on")
        raise ValueError("no model")


def test_another_threads_words_are_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with without_info():
        other = threading.Thread(target=lambda: os.write(STDERR, b"\x1b[2K 3 of 7"))
        other.start()
        other.join()
        os.write(STDERR, b"INFO: Created a delegate.\n")
    os.write(STDERR, b", 4 of 7\n")
    assert capfd.readouterr().err == "\x1b[2K 3 of 7, 4 of 7\n"


def test_interpreters_can_be_made_in_many_threads(capfd: pytest.CaptureFixture[str]) -> None:
    def make(number: int) -> None:
        with without_info():
            os.write(STDERR, b"INFO: Created a delegate.\n%d\n" % number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(capfd.readouterr().err.split()) == list("01234567")


def test_a_process_without_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with without_info() as nothing:
        assert nothing is None
