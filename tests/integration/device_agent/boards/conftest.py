from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from device_agent.transports.ssh import SshTransport
from tests.benchmark_model.standin import litert_library
from tests.boards.fixtures import board, sshd  # noqa: F401
from tests.boards.sshd import Board
from tests.integration.device_agent.test_adbd_phone import PROTOCOL

Options = list[str]


@pytest.fixture
def transport(board: Board) -> Iterator[SshTransport]:  # noqa: F811
    """To the board, connected."""
    with closing(SshTransport(board.address)) as made:
        made.reconnect()
        yield made


@pytest.fixture
def options(board: Board, benchmark_model: Path, tmp_path: Path) -> Options:  # noqa: F811
    """Of an agent that measures on the board."""
    protocol = tmp_path / "protocol.json"
    protocol.write_text(PROTOCOL.model_dump_json())
    return [
        *("--board", board.address, "--runner", str(benchmark_model)),
        *("--runner-version", "stand-in", "--library", str(litert_library())),
        *("--protocol", str(protocol)),
    ]
