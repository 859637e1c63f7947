"""Where the three commands find the profiler and their folders."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from netspec.errors import UserError

DEFAULT_URL = "http://127.0.0.1:8600"

URL_VARIABLE = "PROFILER_URL"
TOKEN_VARIABLE = "PROFILER_TOKEN"  # noqa: S105 - the name of a variable
DATA_DIR_VARIABLE = "PROFILER_DATA_DIR"
CACHE_DIR_VARIABLE = "PROFILER_CACHE_DIR"
CONSOLE_VARIABLES = (URL_VARIABLE, TOKEN_VARIABLE, DATA_DIR_VARIABLE, CACHE_DIR_VARIABLE)


def data_path() -> Path:
    """Return where the data folder is or would be; `PROFILER_DATA_DIR` moves it."""
    configured = os.environ.get(DATA_DIR_VARIABLE)
    return Path(configured) if configured else user_data_path("proxyless-farm", appauthor=False)


def data_dir() -> Path:
    """The folder of this user's database, tokens and spool (created on demand).

    Raises:
        UserError: it cannot be made.
    """
    folder = data_path()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the data folder {folder} cannot be made: {error.strerror}; name another with "
            f"{DATA_DIR_VARIABLE}"
        ) from error
    return folder


def cache_dir() -> Path:
    """The folder of what this user can do without, as it can be fetched again; not created.

    `PROFILER_CACHE_DIR` moves it.
    """
    wished = os.environ.get(CACHE_DIR_VARIABLE)
    return Path(wished) if wished else user_cache_path("proxyless-farm", appauthor=False)


def profiler_url(url: str | None = None) -> str:
    """Return this URL of a profiler, else that of `PROFILER_URL`, else this machine's."""
    return url or os.environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL
