"""Completion as bash runs it: installed, sourced, and asked by its own protocol."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from netspec.console.connection import TOKEN_VARIABLE, URL_VARIABLE
from scripts.site.commands import APPS
from tests.acceptance.commands import environment, run
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api

#: what bash does when Tab is pressed behind the words
_TAB = """
source "$HOME/.bashrc"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
function_of_command=$(complete -p "$1" | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
"$function_of_command" "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""

#: the program asks the process above it which shell it is; a test names it
_NAMED_SHELL = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a user who has installed the completion of all three programs."""
    folder = tmp_path_factory.mktemp("home")
    for name in APPS:
        said = run(name, "--install-completion", "bash", HOME=str(folder), **_NAMED_SHELL)
        assert said.returncode == 0, said.stderr
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("profiler")) as started:
        with httpx2.Client(base_url=started.url) as http:
            api = Api(http, started.about_token.split()[-1])
            for model in ("Pixel 1", "Pixel 2"):
                api.register(farm.registration(model, model))
        yield started


def tab(home: Path, *words: str, **variables: str) -> list[str]:
    """What bash offers for the last word."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.run(
        ["bash", "-c", _TAB, "bash", *words],
        env=environment(HOME=str(home), PATH=path, **variables),
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert said.stderr == ""
    return said.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("search-client quant", ["quantization-report", "quantize"]),
        ("search-client validate --js", ["--json"]),
        ("search-client search --recipe ", ["cifar", "demo", "lpirc", "proxylessnas"]),
        ("search-client profile --recipe mi", ["mine.toml"]),
        (
            "search-client export --form ",
            [
                *("int8", "uint8", "int16x8", "float32", "float16", "dynamic"),
                *("onnx", "onnx-int8", "torch"),
            ],
        ),
        ("search-client verify --run photos --net", []),
        ("search-client export --run photos --network s", ["searched", "smaller"]),
        ("device-agent d", ["devices", "doctor"]),
        ("device-agent run --delegate ", ["none", "xnnpack", "gpu", "nnapi", "npu"]),
        ("profiler-server token cre", ["create"]),
        ("profiler-server export 0123 --format f", ["fbnet"]),
    ],
)
def test_a_tab_offers(home: Path, line: str, offered: list[str]) -> None:
    (home / "mine.toml").touch()
    run_folder = home / "photos"
    run_folder.mkdir(exist_ok=True)
    for name in ("searched", "smaller", "baseline"):
        (run_folder / f"{name}.network.pt").touch()
    assert tab(home, *line.split(" ")) == offered


def test_targets_are_those_of_the_profiler(home: Path, server: Server) -> None:
    token = {TOKEN_VARIABLE: server.about_token.split()[-1]}
    ids = sorted(farm.identity(model).id for model in ("Pixel 1", "Pixel 2"))
    by_option = tab(
        home, "search-client", "search", "--profiler-url", server.url, "--target", "", **token
    )
    assert sorted(by_option) == ids
    by_variable = {URL_VARIABLE: server.url, **token}
    assert tab(home, "search-client", "validate", "--target", ids[0][:8], **by_variable) == [ids[0]]


def test_a_profiler_that_is_not_there_keeps_nobody_waiting(home: Path) -> None:
    # An address for documentation, to which packets go and from which none comes back.
    silent = {URL_VARIABLE: "http://192.0.2.1:8600", TOKEN_VARIABLE: "any"}
    started = time.monotonic()
    assert tab(home, "search-client", "targets", "--profiler-url", "", **silent) == []
    before = time.monotonic() - started
    assert tab(home, "search-client", "search", "--target", "", **silent) == []
    assert time.monotonic() - started - before < before + 4.0


@pytest.mark.parametrize(
    ("shell", "says"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef"), ("fish", "complete --command")],
)
def test_completion_is_shown_for_each_shell(shell: str, says: str) -> None:
    said = run("device-agent", "--show-completion", shell, **_NAMED_SHELL)
    assert said.returncode == 0
    assert says in said.stdout


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_same(shell: str) -> None:
    asked = {
        "_SEARCH_CLIENT_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "search-client search --recipe ",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    offered = run("search-client", **asked).stdout
    assert [name for name in ("cifar", "demo", "lpirc", "proxylessnas") if name in offered] == [
        "cifar",
        "demo",
        "lpirc",
        "proxylessnas",
    ]
