"""A run's images: read into memory where they fit, else decoded as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netspec.errors import UserError
from search_client.images import ImageSet, read_folder, stored_size
from search_client.progress import Stages
from search_client.settings import Settings


def read_data(
    data: Path, settings: Settings, stages: Stages, classes: Sequence[str] = ()
) -> tuple[ImageSet, ImageSet]:
    """The training and test images of a run.

    Args:
        data: folder of images.
        settings: of the run.
        stages: shows the progress.
        classes: that the images must have; none: any.

    Raises:
        UserError: the folder cannot be read as images, or has other classes.
    """
    with stages.stage("data", f"Read images from {data}"), stages.bar("images") as advance:
        training, test = read_folder(data, stored_size(settings.input_size), advance, settings.seed)
    if classes and training.classes != tuple(classes):
        raise UserError(
            f"{data} has the classes {', '.join(training.classes)}, but the search was made on "
            f"{', '.join(classes)}; give the same data"
        )
    return training, test
