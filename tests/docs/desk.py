"""A researcher's desk for the documentation: an empty folder, in which its commands are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from netspec.console.tokens import server_tokens
from tests.acceptance.commands import environment
from tests.docs.pages import Block
from tests.docs.programs import commands
from tests.waiting import wait_for

#: a command of the docs may take so long, s; nothing here should take a quarter of it
TIMEOUT_S = 240

#: what the docs say, and what is run in its place: the same command, with less to do
SMALLER = [
    # Any free port: the usual one may be taken.
    (r"^profiler-server serve$", "profiler-server serve --port 0"),
    (r"rounds = 10\b", "rounds = 2"),
    (r"network_rounds = 20\b", "network_rounds = 3"),
    (r"calibration_networks = 5\b", "calibration_networks = 2"),
    (r"(warmup_epochs|^epochs) = \d+", r"\1 = 1"),
    # The first has weight steps alone.
    (r"joint_epochs = \d+", "joint_epochs = 2"),
    (r"^(rising_epochs|frozen_epochs) = \d+", r"\1 = 0"),
    (r"\b55, 2000, 500\b", "55, 200, 100"),
    (r"--networks \d+", "--networks 2"),
    (r"train\.epochs=\d+", "train.epochs=1"),
    # One run, of a recipe that is measured already, stands for all.
    (r"--recipe demo\b", "--recipe first.toml"),
    (r"\bruns/(search|mine)\b", "runs/first"),
    (r"validate --networks", "validate --recipe first.toml --classes 10 --networks"),
    # A table of so few visits may well miss its own interval: `validate` judges it by exit code 3.
    (r"^(search-client validate .*)$", r"\1 || [ $? -eq 3 ]"),
    # A latency that a network of that space has.
    (r"derive (.*)--latency-ref \S+", r"derive \1--latency-ref $LATENCY"),
    # Placeholders.
    (r"/backups/", "backups/"),
]

#: a published table of two operators
PUBLISHED = """
Conv-input:224x224x3-output:112x112x32: {count: 10, mean: 4.2, var: 0.04}
Logits-input:7x7x1280-output:1000: {count: 10, mean: 0.9, var: 0.01}
"""


def smaller(text: str, pairs: Sequence[tuple[str, str]] = SMALLER) -> str:
    """The same text with less to do."""
    for pattern, replacement in pairs:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


@dataclass
class Desk:
    """Runs blocks in one folder, with one environment."""

    folder: Path
    #: where the shell finds our programs
    commands: Path
    variables: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, block: Block) -> None:
        """Saves a block that a reader is told to save."""
        (self.folder / block.title).write_text(smaller(block.text), encoding="utf-8")

    def run(self, block: Block) -> str:
        """Runs a block to its end; what it printed.

        Raises:
            AssertionError: a command of it failed.
        """
        ended = subprocess.run(
            self._shell(block),
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert ended.returncode == 0, f"{block.where}\n{smaller(block.text)}\n{ended.stdout}"
        return ended.stdout

    def start(self, block: Block) -> Path:
        """Starts a block that goes on; the file with what it prints."""
        log = self.folder / f"{len(self.running)}.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                self._shell(block, "exec "),
                cwd=self.folder,
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.running.append(process)
        return log

    def stop(self) -> None:
        """Ends what was started, the last first, as Ctrl-C would.

        Raises:
            AssertionError: one of them did not end with exit code 0.
        """
        codes = []
        for process in reversed(self.running):
            process.terminate()
            codes.append(process.wait(timeout=TIMEOUT_S))
        assert codes == [0] * len(codes)

    def _shell(self, block: Block, before_last: str = "") -> list[str]:
        if "curl " in block.text and shutil.which("curl") is None:
            pytest.skip(f"there is no curl for the lines of {block.page}")
        first, line_end, last = smaller(block.text).rstrip("\n").rpartition("\n")
        text = f"{first}{line_end}{before_last}{last}\n"
        # A refused request is a failed command.
        fail = 'curl() { command curl --fail-with-body --silent --show-error "$@"; }\n'
        return ["bash", "-euo", "pipefail", "-c", fail + text]

    def _environment(self) -> dict[str, str]:
        folders = (self.commands, Path(sys.executable).parent, os.environ["PATH"])
        path = os.pathsep.join(map(str, folders))
        return environment(PATH=path, OMP_NUM_THREADS="1", **self.variables)


@contextmanager
def empty_desk(folder: Path) -> Iterator[Desk]:
    """A desk with a data folder of its own; what runs on it is stopped at the end."""
    (folder / "backups").mkdir()
    (folder / "mobile_trim.yaml").write_text(PUBLISHED, encoding="utf-8")
    with commands() as found:
        desk = Desk(folder, found, {DATA_DIR_VARIABLE: str(folder / "data")})
        try:
            yield desk
        finally:
            for process in desk.running:
                if process.poll() is None:
                    # A kill would not reach what the command has forked.
                    process.terminate()
                    process.wait(timeout=TIMEOUT_S)


def tell_where_the_server_is(desk: Desk, log: Path) -> None:
    """Waits for a started server; further commands find it at the port that it took.

    Raises:
        AssertionError: it does not say where it is.
    """
    found = wait_for(lambda: re.search(r"http://\S+", log.read_text(encoding="utf-8")))
    assert found is not None
    desk.variables[URL_VARIABLE] = found[0]
    desk.variables[TOKEN_VARIABLE] = server_tokens(found[0], desk.folder / "data")[0]
