from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from device_agent.transports.ssh import SshTransport
from tests.benchmark_model.standin import litert_library
from tests.boards.fixtures import board, sshd  # noqa: F401
from tests.boards.sshd import USER, Board
from tests.integration.device_agent.test_adbd_phone import PROTOCOL

Options = list[str]
#: of /system/bin, none of which a Linux has
_ANDROIDS = (
    *("am", "appops", "cmd", "content", "device_config", "dumpsys", "getprop", "ime", "input"),
    *("logcat", "media", "monkey", "pm", "screencap", "service", "setprop", "settings", "svc"),
    *("toolbox", "toybox", "wm"),
)
_HEARD = f"home/{USER}/heard"


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


@pytest.fixture
def wary_board(board: Board) -> Board:  # noqa: F811
    """A board on which Android's commands exist, and note that they were called."""
    for name in _ANDROIDS:
        board.write(f"/android/{name}", f'#!/bin/sh\necho "{name} $*" >> /{_HEARD}\n')
        (board.root / "android" / name).chmod(0o755)
    board.kill()
    board.configure("SetEnv PATH=/android:/usr/bin:/bin\n")
    board.start()
    return board


def heard(board: Board) -> list[str]:  # noqa: F811
    """The commands of Android's that the board was given."""
    file = board.root / _HEARD
    return file.read_text().splitlines() if file.exists() else []
