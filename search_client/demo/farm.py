"""A farm of this machine alone: a server, an agent of this host, and images to search on."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netspec.client import ProfilerClient
from netspec.console.connection import (
    DATA_DIR_VARIABLE,
    DEFAULT_URL,
    TOKEN_VARIABLE,
    URL_VARIABLE,
)
from netspec.console.private_file import make_private
from netspec.console.tokens import server_tokens
from netspec.errors import UserError
from netspec.wire import Target
from search_client.data.folders import stored_size
from search_client.demo.companions import Companions, host_identity, profiler_and_agent
from search_client.demo.photographs import write_photographs
from search_client.progress import Stages
from search_client.recipe import Recipe

TRAIN_IMAGES, TEST_IMAGES = 2_400, 1_000
TARGET_TIMEOUT_S = 60.0
#: file of a run, for shells: where a server on the demo's tables is found, and the demo's target
VARIABLES = "profiler.env"
_POLL_S = 0.2


@contextmanager
def farm_of_this_host(
    settings: Recipe, data: Path | None, folder: Path, port: int, stages: Stages
) -> Iterator[tuple[ProfilerClient, Target, Path]]:
    """A client of a server with an agent of this host, the host's target, and the images.

    Both processes end with the context; their data stays in `folder`, and `profiler.env` there
    tells shells how to ask it.

    Args:
        settings: of the run.
        data: images; None: crops of ten photographs.
        folder: for everything.
        port: for the server; 0 takes any that is free.
        stages: shows the progress.

    Raises:
        UserError: a process did not start, or the agent registered no device.
    """
    data_dir = folder / "profiler"
    data_dir.mkdir(parents=True, exist_ok=True)
    images = _photographs(settings, folder / "data", stages) if data is None else data
    with ExitStack() as running:
        with stages.stage("start", "Start a profiler server and a device agent for this host"):
            companions = running.enter_context(profiler_and_agent(folder, data_dir, port))
            token = server_tokens(companions.url, data_dir)[0]
            client = ProfilerClient(companions.url, token, on_poll=companions.check)
            target = _host_target(client, companions, data_dir)
        _leave_variables(folder, data_dir, port, token, target)
        stages.note(f"server at {companions.url}, target {target.id}, logs in {folder}")
        yield running.enter_context(client), target, images


def _leave_variables(folder: Path, data_dir: Path, port: int, token: str, target: Target) -> None:
    """Leave what shells need to serve and ask the demo's tables once it has ended."""
    values = {
        DATA_DIR_VARIABLE: data_dir.resolve(),
        URL_VARIABLE: f"http://127.0.0.1:{port}" if port else DEFAULT_URL,
        TOKEN_VARIABLE: token,
        "TARGET": target.id,
    }
    lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in values.items()]
    (folder / VARIABLES).unlink(missing_ok=True)
    make_private(folder / VARIABLES, "".join(lines).encode())


def _photographs(settings: Recipe, folder: Path, stages: Stages) -> Path:
    if not folder.exists():
        # Renamed at the end: what a Ctrl-C leaves half written is no data.
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        with (
            stages.stage("data", "Cut ten photographs into images, ten classes"),
            stages.bar("images") as advance,
        ):
            write_photographs(
                unfinished,
                stored_size(settings.input_size),
                TRAIN_IMAGES,
                TEST_IMAGES,
                settings.seed,
                advance,
            )
        unfinished.rename(folder)
    return folder


def _host_target(client: ProfilerClient, companions: Companions, data_dir: Path) -> Target:
    """This host's target, once its agent has registered it.

    Waited for by id: in a folder of an earlier demo a former one may be listed, too.
    """
    target_id = host_identity(data_dir).id
    deadline = time.monotonic() + TARGET_TIMEOUT_S
    while time.monotonic() < deadline:
        companions.check()
        for target in client.targets():
            if target.id == target_id and target.devices:
                return target
        time.sleep(_POLL_S)
    raise UserError(
        f"the device agent registered no device within {TARGET_TIMEOUT_S:g} s; see its log beside "
        "the report"
    )
