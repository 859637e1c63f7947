from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest

from netspec.console.connection import CACHE_DIR_VARIABLE

# Imports and thousands of tests make millions of objects that stay: to look through them again and
# again for garbage, as they grow and then beside each test's own, is a fifth of all time.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave all that was imported and collected out of every search for garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_DIR_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # What a shell starts in the background ignores Ctrl-C, and so would all that tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
