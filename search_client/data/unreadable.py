"""Images that cannot be read: left out and named, as long as they are few."""

from __future__ import annotations

from collections.abc import Callable

from netspec.errors import UserError

#: of all images that may be unreadable, where nobody says otherwise
SHARE = 0.001
_SHOWN = 3


class UnreadableImages:
    """What is left out of a data folder, by name."""

    def __init__(
        self,
        images: int,
        share: float = SHARE,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """No image is unreadable yet.

        Args:
            images: in the folder, training and test images.
            share: of them that may be left out.
            tell: hears of each, once.
        """
        self._images = images
        self._share = share
        self._tell = tell
        #: of each, why
        self.reasons: dict[str, str] = {}

    def add(self, name: str, why: str) -> None:
        """Leave one out.

        Raises:
            UserError: they are too many.
        """
        if name in self.reasons:
            return
        self.reasons[name] = why
        if len(self.reasons) > self._share * self._images:
            shown = "; ".join(list(self.reasons.values())[-_SHOWN:])
            raise UserError(
                f"{shown}; {len(self.reasons)} of {self._images} images cannot be read, and at "
                f"most a share of {self._share:g} may be left out: unreadable_share of a recipe"
            )
        self._tell(f"Left out: {why}")
