"""Where the three commands find the profiler: its URL, its token, the data folder."""

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


def data_dir() -> Path:
    """The folder of this user's database, token and spool (created on demand).

    `PROFILER_DATA_DIR` moves it.

    Raises:
        UserError: it cannot be made.
    """
    wished = os.environ.get(DATA_DIR_VARIABLE)
    folder = Path(wished) if wished else user_data_path("proxyless-farm", appauthor=False)
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


def token_path() -> Path:
    """The file in which the server's first start leaves its token for the other commands."""
    return data_dir() / "token"


def save_token(token: str) -> Path:
    """Writes the token to `token_path()`, readable by this user alone.

    Raises:
        UserError: the file cannot be written.
    """
    path = token_path()
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(token + "\n", encoding="ascii")
    except OSError as error:
        raise UserError(
            f"cannot keep the token in {path}: {error.strerror}; name another folder with "
            f"{DATA_DIR_VARIABLE}"
        ) from error
    return path


def load_token() -> str:
    """The token from `PROFILER_TOKEN`, else from `token_path()`.

    Raises:
        UserError: there is neither, or the file cannot be read.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    path = token_path()
    try:
        if not token and path.exists():
            token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the token in {path} cannot be read: {error}; set {TOKEN_VARIABLE}, or remove the "
            "file and make a new one with `profiler-server token create --save`"
        ) from error
    if not token:
        raise UserError(
            f"no token: set {TOKEN_VARIABLE}, or start `profiler-server serve` on this machine "
            f"once, which leaves one in {path}"
        )
    return token


def connection(url: str | None = None, token: str | None = None) -> tuple[str, str]:
    """A profiler's URL and token; what is not given is looked up.

    The URL in `PROFILER_URL`, else this machine's; the token as `load_token` does.

    Raises:
        UserError: there is no token.
    """
    wished = url or os.environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL
    return wished, load_token() if token is None else token
