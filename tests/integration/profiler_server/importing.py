"""Importing and exporting tables by the server's commands, as tests of both need it."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner, Result

from profiler_server import cli
from tests.integration.profiler_server.service import Api

#: of the device that published tables in these tests are of
FACTS = (
    *("--device-model", "Pixel 1", "--soc", "msm8996", "--os-build", "NDE63X"),
    *("--abi", "arm64-v8a", "--runtime", "tflite 1.9", "--delegate", "none", "--threads", "1"),
)
FLOAT32 = ("--precision", "float32")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def import_(file: Path, *arguments: str, format_: str = "proxylessnas") -> str:
    """The target's id."""
    said = run("import", str(file), "--format", format_, *arguments).stdout
    found = re.fullmatch(r"\d+ entries imported on target ([0-9a-f]{16})\n", said)
    assert found, said
    return found[1]


def nothing_was_stored(api: Api) -> bool:
    return not api.call("GET", "/v1/targets").json()
