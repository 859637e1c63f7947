from __future__ import annotations

import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.errors import TransportLost
from device_agent.text import printed
from device_agent.transports.base import ShellResult
from device_agent.transports.shell import v1_command, v1_result, v2_command, v2_result
from tests.unit.device_agent.transports.scripted import ScriptedStream, cut

places = st.lists(st.integers(0, 500), max_size=8)


def packet(kind: int, content: bytes) -> bytes:
    return struct.pack("<BI", kind, len(content)) + content


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.text(max_size=20)), max_size=8),
    st.integers(0, 255),
    places,
)
def test_packets_come_out_whole_however_they_are_cut(
    said: list[tuple[int, str]], code: int, where: list[int]
) -> None:
    sent = b"".join(packet(kind, text.encode()) for kind, text in said) + packet(3, bytes([code]))
    result = v2_result(ScriptedStream(cut(sent, where)))
    assert result == ShellResult(
        code,
        printed("".join(text for kind, text in said if kind == 1).encode()),
        printed("".join(text for kind, text in said if kind == 2).encode()),
    )


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        packet(1, b"half an answer"),
        packet(1, b"cut")[:-1],
        b"\x01\xff\xff\xff\xff",
        b"\x09\x01\x00\x00\x00x",
        b"HTTP/1.1 400 Bad Request",
    ],
)
def test_without_the_packet_of_the_exit_code_there_is_no_result(sent: bytes) -> None:
    with pytest.raises(TransportLost):
        v2_result(ScriptedStream([sent]))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(0, 255), places)
def test_the_marker_is_taken_off(text: str, code: int, where: list[int]) -> None:
    sent = text.encode() + f"\n__rc={code}\n".encode()
    assert v1_result(ScriptedStream(cut(sent, where))) == ShellResult(code, printed(text.encode()))


def test_a_terminal_ends_lines_its_own_way() -> None:
    assert v1_result(ScriptedStream([b"a\r\nb\r\n\r\n__rc=0\r\n"])) == ShellResult(0, "a\nb\n")


@pytest.mark.parametrize("sent", [b"", b"text", b"\n__rc=\n", b"\n__rc=7", b"\n__rc=7\nmore"])
def test_a_missing_marker_is_no_result(sent: bytes) -> None:
    with pytest.raises(TransportLost, match="without saying how the command ended"):
        v1_result(ScriptedStream([sent]))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo a; exit 3", ShellResult(3, "a\n")),
        ("echo e >&2; false", ShellResult(1, "e\n")),
        ("printf x # comment", ShellResult(0, "x")),
        ("echo '__rc=9'", ShellResult(0, "__rc=9\n")),
    ],
)
def test_a_real_shell_understands_the_older_form(command: str, expected: ShellResult) -> None:
    said = subprocess.run(["sh", "-c", v1_command(command)], capture_output=True, check=True)
    assert v1_result(ScriptedStream([said.stdout])) == expected


def test_a_real_shell_merges_for_the_newer_form() -> None:
    command = v2_command("echo 1; echo 2 >&2; echo 3", merged=True)
    said = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    assert (said.stdout, said.stderr) == (b"1\n2\n3\n", b"")
    assert v2_command("echo 1", merged=False) == "echo 1"
