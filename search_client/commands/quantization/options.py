"""What the quantization commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from netspec.errors import UserError
from search_client.commands.completion import complete_trained_network

if TYPE_CHECKING:
    from netspec.tflite.runtimes import RuntimeVersion
    from search_client.deployment.trained_network import TrainedNetwork

RunOf = Annotated[
    Path, typer.Option("--run", help="Folder of a run, with its NAME.network.pt files.")
]
NetworkName = Annotated[
    str,
    typer.Option(
        "--network",
        help="NAME of the run's NAME.network.pt: searched, baseline.",
        autocompletion=complete_trained_network,
    ),
]
DataOf = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of images; by default the one of the network's training."),
]
CompareImages = Annotated[
    int, typer.Option("--images", min=1, help="Test images to compare on, spread over all.")
]
RuntimeOf = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="The oldest TensorFlow Lite that is to run the file, as in 2.7.",
        metavar="VERSION",
        show_default="any",
    ),
]
ScalesOf = Annotated[
    Literal["channel", "tensor"] | None,
    typer.Option(
        "--classifier-scales",
        help="Of the classifier's int8 weights: one a class, or one for all.",
        show_default="tensor for a --runtime before 2.10, else channel",
    ),
]
ModelFile = Annotated[Path, typer.Argument(help="A .tflite file.", metavar="MODEL")]


def data_folder(folder: Path | None, trained: TrainedNetwork | None) -> Path:
    """The folder of images: as given, else the one that the network was trained on.

    Raises:
        UserError: neither is known.
    """
    known = trained.source.data if trained is not None else ""
    if folder is None and not known:
        raise UserError("the run does not say where its images are; give their folder with --data")
    return folder or Path(known)


def runtime_of(text: str | None) -> RuntimeVersion | None:
    """The version that `--runtime` names.

    Raises:
        EncodingError: it names none.
    """
    from netspec.tflite.runtimes import RuntimeVersion  # noqa: PLC0415

    return None if text is None else RuntimeVersion.of(text)


def require_file(model: Path) -> None:
    """See that a model is there.

    Raises:
        UserError: it is not.
    """
    if not model.is_file():
        raise UserError(f"there is no model {model}; give a .tflite file that an export wrote")


def integers(text: str, option: str) -> tuple[int, ...]:
    """Numbers from `3,7`; none from an empty text.

    Raises:
        UserError: it holds something else.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"{option} {text}: expected whole numbers with commas, as in 3,7")
    return tuple(int(part) for part in parts)
