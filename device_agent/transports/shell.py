"""Commands on the device's shell, with their exit code.

Two services: `shell,v2` (Android 7 and later) sends packets of standard output, standard error and
the exit code; `shell` sends what a terminal would show and no code, so a marker is appended.
A command whose end was not seen has no result: either way that is `TransportLost`.

Source of the packets: `shell_protocol.h` of Android's adb: kind (1 byte), length (4 bytes, little
endian), content.
"""

from __future__ import annotations

import re
import struct

from device_agent.errors import TransportLost
from device_agent.text import printed
from device_agent.transports.base import ShellResult
from device_agent.transports.streams import Reader, Stream

V2_SERVICE = "shell,v2,raw:"
V1_SERVICE = "shell:"

_HEADER = struct.Struct("<BI")
_OUTPUT, _ERRORS, _EXIT = 1, 2, 3
#: far more than any command of ours prints: a longer packet is not a packet
_MAX_PACKET = 64 * 2**20
_MARKER = re.compile(rb"\n__rc=(\d{1,3})(\r?)\n\Z")


def v2_command(command: str, *, merged: bool) -> str:
    """The command line for `shell,v2`; the device's own shell merges, so that order is kept."""
    return f"exec 2>&1\n{command}" if merged else command


def v2_result(stream: Stream) -> ShellResult:
    """Reads packets up to the exit code."""
    reader = Reader(stream)
    streams = {_OUTPUT: bytearray(), _ERRORS: bytearray()}
    while True:
        kind, length = _HEADER.unpack(reader.exactly(_HEADER.size))
        if kind not in (_OUTPUT, _ERRORS, _EXIT) or length > _MAX_PACKET:
            raise TransportLost(f"the phone's shell answered garbage (packet of kind {kind})")
        content = reader.exactly(length)
        if kind == _EXIT:
            code = content[0] if content else 255
            return ShellResult(code, printed(streams[_OUTPUT]), printed(streams[_ERRORS]))
        streams[kind] += content


def v1_command(command: str) -> str:
    """The command line for `shell`: a subshell, so that `exit` leaves the marker alone."""
    return f"({command}\n) 2>&1; r=$?; echo; echo __rc=$r"


def v1_result(stream: Stream) -> ShellResult:
    """Reads to the end of the stream and takes the marker off. Both streams are merged."""
    said = Reader(stream).rest()
    if not (marker := _MARKER.search(said)):
        raise TransportLost("the phone's shell ended without saying how the command ended")
    output = said[: marker.start()]
    if marker.group(2):  # a terminal lies between, before Android 7
        output = output.removesuffix(b"\r").replace(b"\r\n", b"\n")
    return ShellResult(int(marker.group(1)), printed(output))
