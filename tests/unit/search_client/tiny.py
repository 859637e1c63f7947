"""Spaces that train in milliseconds."""

from netspec.spaces import Space, Stage


def tiny_space(classes: int = 3) -> Space:
    """Two blocks at 16 px: one with 6 candidates, one with 6 candidates and Zero."""
    return Space(
        input_size=16,
        width=0.25,
        classes=classes,
        stages=(Stage(channels=24, depth=2, stride=2),),
    )
