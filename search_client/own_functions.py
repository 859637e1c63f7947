"""Functions of a user's own that recipes name: of this process, or of an installed package.

A package names its function as an entry point; nothing else that a recipe or a run's record says
is imported, so that reading one never runs a stranger's code.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeVar

from netspec.errors import UserError
from netspec.suggestions import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


class OwnFunctions:
    """All functions of one use."""

    def __init__(self, group: str, what: str, register: str) -> None:
        """Without a function of this process yet.

        Args:
            group: of the entry points that packages name theirs in.
            what: a function is, in errors.
            register: the decorator's full name, for errors.
        """
        self.group = group
        self.what = what
        self._register = register
        self._known: dict[str, Callable[..., Any]] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """Make a function known in this process by a name that recipes give."""

        def known(function: F) -> F:
            self._known[name] = function
            return function

        return known

    def find(self, name: str) -> Callable[..., Any]:
        """The function of a name; a package's is imported once.

        Raises:
            UserError: there is none, or its package cannot be imported.
        """
        if name not in self._known:
            points = entry_points(group=self.group)
            found = tuple(point for point in points if point.name == name)
            if not found:
                names = sorted({*self._known, *(point.name for point in points)})
                known = did_you_mean(name, names) if names else "there are none"
                raise UserError(
                    f"there is no {self.what} {name!r} ({known}): register a function by "
                    f"{self._register}, or install a package with an entry point in {self.group}"
                )
            try:
                self._known[name] = found[0].load()
            except Exception as error:
                # A package's module raises what it likes when it is imported.
                raise UserError(
                    f"the {self.what} {name!r} cannot be imported from its package "
                    f"({type(error).__name__}: {error}); put the package right"
                ) from error
        return self._known[name]
