import os
import subprocess
import sys

SHOW = (
    "import search_client.modules, os, sys;"
    "sys.stdout.write(os.environ['OMP_WAIT_POLICY'] + ' ' + str('torch' in sys.modules))"
)


def _policy(**given: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
    return subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_torchs_threads_sleep_while_they_wait() -> None:
    assert _policy() == "PASSIVE True"


def test_a_policy_that_is_given_is_kept() -> None:
    assert _policy(OMP_WAIT_POLICY="ACTIVE") == "ACTIVE True"
