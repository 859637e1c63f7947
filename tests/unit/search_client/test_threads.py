import os
import subprocess
import sys

SHOW = (
    "import {}, os, sys;"
    "sys.stdout.write(os.environ['GOMP_SPINCOUNT'] + ' ' + str('torch' in sys.modules))"
)


def _spins(module: str, **given: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"} | given
    return subprocess.run(
        [sys.executable, "-c", SHOW.format(module)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_torchs_threads_soon_sleep_while_they_wait() -> None:
    assert _spins("search_client.networks.layers") == "1000 True"


def test_a_count_that_is_given_is_kept() -> None:
    assert _spins("search_client", GOMP_SPINCOUNT="7") == "7 False"
