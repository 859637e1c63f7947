from __future__ import annotations

import struct
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.errors import DeviceFull, FileRefused, TransportLost
from device_agent.transports.sync import receive_file, send_file
from tests.unit.device_agent.transports.scripted import ScriptedStream, cut

PART, FINAL = PurePosixPath("/data/local/tmp/.model.part"), PurePosixPath("/data/local/tmp/model")


def answer(kind: bytes, content: bytes = b"") -> bytes:
    return kind + struct.pack("<I", len(content)) + content


def test_a_file_goes_in_pieces_of_64_kib() -> None:
    stream = ScriptedStream([answer(b"OKAY")])
    content = bytes(range(256)) * 300
    send_file(stream, content, PART, 0o755, FINAL)
    name = b"/data/local/tmp/.model.part,33261"  # 0o100755
    sent = (
        answer(b"SEND", name) + answer(b"DATA", content[:65536]) + answer(b"DATA", content[65536:])
    )
    assert bytes(stream.written[: len(sent)]) == sent
    assert bytes(stream.written[len(sent) : -4]) == b"DONE"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (b"write failed: No space left on device", DeviceFull),
        (b"couldn't create file: Read-only file system", FileRefused),
    ],
)
def test_refusals_name_the_file_and_the_reason(reason: bytes, error: type[Exception]) -> None:
    with pytest.raises(error, match="/data/local/tmp/model") as raised:
        send_file(ScriptedStream([answer(b"FAIL", reason)]), b"1", PART, 0o644, FINAL)
    assert reason.decode() in str(raised.value)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 300), max_size=8))
def test_a_file_comes_whole_however_it_is_cut(pieces: list[bytes], where: list[int]) -> None:
    sent = b"".join(answer(b"DATA", piece) for piece in pieces) + answer(b"DONE")
    assert receive_file(ScriptedStream(cut(sent, where)), FINAL) == b"".join(pieces)


def test_a_missing_file_is_not_found() -> None:
    said = answer(b"FAIL", b"failed to open file '/x': No such file or directory")
    with pytest.raises(FileNotFoundError):
        receive_file(ScriptedStream([said]), FINAL)


def test_a_file_that_may_not_be_read_is_refused() -> None:
    said = answer(b"FAIL", b"failed to open file '/x': Permission denied")
    with pytest.raises(FileRefused, match=r"refuses to read .*: .*Permission denied"):
        receive_file(ScriptedStream([said]), FINAL)


@pytest.mark.parametrize(
    "said", [b"", b"DATA\x05\x00\x00\x00abc", b"DATA\xff\xff\xff\xff", b"NOPE\x00\x00\x00\x00"]
)
def test_a_cut_or_mad_answer_is_no_file(said: bytes) -> None:
    with pytest.raises(TransportLost):
        receive_file(ScriptedStream([said]), FINAL)
    with pytest.raises(TransportLost):
        send_file(ScriptedStream([said]), b"1", PART, 0o644, FINAL)
