"""Packages that only an extra of the distribution brings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netspec.errors import UserError


@contextmanager
def needs_extra(extra: str, task: str) -> Iterator[None]:
    """Surround the imports of packages that an extra brings.

    Args:
        extra: of this distribution, such as `pandas`.
        task: what needs them, as the subject of the message.

    Raises:
        UserError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{task} needs the package {error.name}, which is not installed; install it, or this "
            f"project's extra `{extra}`"
        ) from error
