"""The tokens of this user, each stored under the address of the server that it is for.

A token is sent to no other server. Two servers that take turns at one address, for instance on two
databases, both keep theirs: the file of an address holds every token, the newest first.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from netspec.console.connection import (
    DATA_DIR_VARIABLE,
    TOKEN_VARIABLE,
    URL_VARIABLE,
    data_dir,
    data_path,
    profiler_url,
)
from netspec.errors import ProfilerUnreachable, UserError

_PORTS = {"http": 80, "https": 443}
#: what a server that listens everywhere calls itself, and this machine's other name
_THIS_MACHINE = frozenset({"0.0.0.0", "::", "localhost"})  # noqa: S104 - nothing listens here


def server_address(url: str) -> str:
    """Return `SCHEME://HOST:PORT` of a server, one spelling for all that its URL may have.

    Raises:
        ProfilerUnreachable: it is no URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ProfilerUnreachable(
            f"{url!r} is no URL: {error}; expected http://HOST:PORT"
        ) from error
    host = parts.hostname
    if parts.scheme not in _PORTS or not host:
        raise ProfilerUnreachable(f"{url!r} is no URL; expected http://HOST:PORT")
    host = "127.0.0.1" if host in _THIS_MACHINE else host
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or _PORTS[parts.scheme]}"


def token_path(url: str, folder: Path | None = None) -> Path:
    """Return the file that holds the tokens of the server at this URL.

    Args:
        url: of the server.
        folder: the data folder; None: this user's.
    """
    return (folder or data_path()) / "tokens" / server_address(url).replace("://", "_")


def save_token(url: str, token: str) -> Path:
    """Make a token the one that is sent to this server; those stored before stay below it.

    The file can be read by this user alone, and is never seen half written.

    Raises:
        UserError: the file cannot be written.
    """
    path = token_path(url, data_dir())
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        others = [other for other in _tokens_in(path) if other != token]
        # mkstemp makes it readable by its owner alone.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write("".join(f"{line}\n" for line in (token, *others)))
        Path(name).replace(path)
    except OSError as error:
        raise UserError(
            f"cannot keep the token in {path}: {error.strerror}; name another folder with "
            f"{DATA_DIR_VARIABLE}"
        ) from error
    return path


def server_tokens(url: str, folder: Path | None = None) -> list[str]:
    """Return the tokens stored for this server, the newest first; arguments as of `token_path`.

    Raises:
        UserError: the file cannot be read.
    """
    return _tokens_in(token_path(url, folder))


def stored_tokens(url: str) -> list[str]:
    """Return every token stored here: those for this server's address first, the newest ahead.

    Only a server may try those of other addresses, and only on its own database: one that moved to
    another port finds its token so.

    Raises:
        UserError: a file cannot be read.
    """
    path = token_path(url)
    paths = [path, *sorted(other for other in path.parent.glob("[!.]*") if other != path)]
    return list(dict.fromkeys(token for file in paths for token in _tokens_in(file)))


def load_token(url: str) -> str:
    """Return the token for the server at this URL: from `PROFILER_TOKEN`, else the stored one.

    The variable belongs to the server of `PROFILER_URL` where that is set.

    Raises:
        UserError: there is neither, or the file cannot be read.
    """
    address = server_address(url)
    variable = os.environ.get(TOKEN_VARIABLE, "").strip()
    variable_url = os.environ.get(URL_VARIABLE, "").strip()
    if variable and (not variable_url or server_address(variable_url) == address):
        return variable
    if tokens := server_tokens(url):
        return tokens[0]
    elsewhere = (
        f" ({TOKEN_VARIABLE} is for {URL_VARIABLE}, {server_address(variable_url)})"
        if variable
        else ""
    )
    raise UserError(
        f"no token for {address}{elsewhere}: set {TOKEN_VARIABLE} to one that "
        f"`profiler-server token create` made beside that server, or write it into "
        f"{token_path(url)}; `profiler-server serve` on this machine leaves its own there"
    )


def connection(url: str | None = None, token: str | None = None) -> tuple[str, str]:
    """Return a profiler's URL and token; what is not given is looked up.

    Raises:
        UserError: there is no token.
    """
    address = profiler_url(url)
    return address, load_token(address) if token is None else token


def _tokens_in(path: Path) -> list[str]:
    """Return the tokens of a file, none if it is not there."""
    try:
        return path.read_text(encoding="ascii").split() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the token in {path} cannot be read: {error}; set {TOKEN_VARIABLE}, or remove the "
            "file and make a new one with `profiler-server token create --save`"
        ) from error
