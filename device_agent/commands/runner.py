"""`device-agent runner`: the programs that run models on phones and boards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from device_agent.benchmark_model.fetch import LOCK_NAME, NIGHTLY, RunnerStore
from device_agent.benchmark_model.flags import Kind
from netspec.console.connection import data_dir

app = typer.Typer(no_args_is_help=True, help="The programs that run models on phones and boards.")

_FETCH_EXAMPLES = """Examples:

  device-agent runner fetch --tool litert --version 2.1.0

  device-agent runner fetch --tool tflite --abi armeabi-v7a --sha256 0123...

  device-agent runner fetch --abi linux_aarch64   # for a Raspberry Pi

  device-agent runner fetch --lock runners.lock.json   # keep the lock file in your repository"""

Lock = Annotated[
    Path | None,
    typer.Option(help="Lock file; by default in the data folder.", show_default=False),
]


def store(lock: Path | None) -> RunnerStore:
    """The fetched programs of this user."""
    folder = data_dir() / "runners"
    return RunnerStore(folder, lock or folder / LOCK_NAME)


@app.command(epilog=_FETCH_EXAMPLES)
def fetch(
    tool: Annotated[Kind, typer.Option(help="TFLite's or LiteRT's benchmark_model.")] = "tflite",
    version: Annotated[str, typer.Option(help="LiteRT's version; TFLite's is nightly.")] = NIGHTLY,
    abi: Annotated[
        str,
        typer.Option(
            help="Android's name of a phone's ABI; a board's is linux_aarch64, linux_armv7l or "
            "linux_x86_64."
        ),
    ] = "arm64-v8a",
    sha256: Annotated[str | None, typer.Option(help="What must come.", show_default=False)] = None,
    lock: Lock = None,
) -> None:
    """Fetch benchmark_model from its official address and pin its SHA-256.

    The first fetch trusts what comes and records it in the lock file; another file under the
    same address is refused from then on.
    """
    path = store(lock).fetch(tool, version, abi, sha256)
    typer.echo(str(path))
