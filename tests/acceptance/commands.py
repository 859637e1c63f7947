"""The three console scripts, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from search_client.demo.photographs import write_photographs
from tests import forked

#: beside other tests on a machine whose visits are often rejected and made again
TIMEOUT_S = 300


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without what names a profiler."""
    names = (DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE)
    kept = {name: value for name, value in os.environ.items() if name not in names}
    # A line may not be folded at the width of whoever runs the tests.
    return {**kept, "COLUMNS": "80", **variables}


def script(name: str, *arguments: str | Path) -> list[str]:
    """The command line of a console script installed beside this interpreter."""
    return [str(Path(sys.executable).with_name(name)), *map(str, arguments)]


def run(name: str, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, in a process that need not import everything first."""
    return forked.run(name, *arguments, variables=environment(**variables))


def run_installed(
    name: str, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs the installed script to its end."""
    return subprocess.run(
        script(name, *arguments),
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


@contextmanager
def started(
    name: str, *arguments: str | Path, log: Path, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A running command, killed at the end of the block if it still runs."""
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            script(name, *arguments),
            env=environment(**variables),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def write_data(folder: Path) -> Path:
    """A little of the demo's data: ten classes, 200 training and 200 test images of 37 px."""
    write_photographs(folder, 37, 200, 200, 0, lambda _done, _total: None)
    return folder


#: a whole run in seconds; a space of two blocks would be faster than every MobileNetV2
RECIPE = """
precision = "int8"
baseline_width = 0.25
batch_size = 20
held_out = 0.2

[profiling]
rounds = {rounds}
network_rounds = 4
calibration_networks = 2

[space]
input_size = 32
width = 0.25
stages = [
  {{ channels = 24, depth = 4, stride = 2 }},
  {{ channels = 40, depth = 4, stride = 2 }},
]

[search]
latency_loss = {{ kind = "target", weight = 1.0 }}
warmup_epochs = 1
joint_epochs = 2
weight_steps_per_architecture_step = 2
architecture_learning_rate = 0.05

[train]
epochs = 2
rising_epochs = 0

[finetune]
epochs = 1
frozen_epochs = 1
"""


def write_recipe(path: Path, *, rounds: int = 3) -> Path:
    """`RECIPE` with so many visits of each operator."""
    path.write_text(RECIPE.format(rounds=rounds), encoding="utf-8")
    return path
