from __future__ import annotations

import socket

import pytest

from netspec.errors import UserError
from profiler_server import serving


def test_any_free_port_is_taken_and_named() -> None:
    with serving.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert port > 0
        assert serving.url_of(listening) == f"http://127.0.0.1:{port}"
        with pytest.raises(UserError, match=f"port {port} on 127.0.0.1 is taken"):
            serving.listen("127.0.0.1", port)


def test_the_socket_names_tcp_so_that_answers_are_not_delayed() -> None:
    with serving.listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_a_host_without_address_is_told() -> None:
    with pytest.raises(UserError, match="no address to listen on"):
        serving.listen("256.1.1.1", 0)
