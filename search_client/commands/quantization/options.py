"""What the quantization commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from netspec.errors import UserError
from search_client.commands.completion import complete_trained_network

if TYPE_CHECKING:
    from netspec.tflite.runtimes import RuntimeVersion
    from search_client.deployment.trained_network import TrainedNetwork
    from search_client.networks.normalisation import Normalisation

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
AllowPartial = Annotated[
    bool,
    typer.Option(
        "--allow-partial", help="Write a file of which XNNPACK does not take over all operators."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=0, help="Threads that decode images not kept in memory.", show_default="4"),
]
MemoryGb = Annotated[
    float | None,
    typer.Option(min=0, help="Images are kept in memory up to so many GB.", show_default="4"),
]
ModelFile = Annotated[Path, typer.Argument(help="A .tflite file.", metavar="MODEL")]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that a user gave; the others have their defaults where they are used."""
    return {name: value for name, value in options.items() if value is not None}


def data_folder(folder: Path | None, trained: TrainedNetwork | None) -> Path:
    """The folder of images: as given, else the one that the network was trained on.

    Raises:
        UserError: neither is known, or the latter is not there.
    """
    known = trained.source.data if trained is not None else ""
    if folder is None and not known:
        raise UserError("the run does not say where its images are; give their folder with --data")
    if folder is None and not Path(known).is_dir():
        raise UserError(
            f"the network was trained on the images in {known}, which is not there; give their "
            "folder with --data"
        )
    return folder or Path(known)


def runtime_of(text: str | None) -> RuntimeVersion | None:
    """The version that `--runtime` names.

    Raises:
        EncodingError: it names none.
    """
    from netspec.tflite.runtimes import RuntimeVersion  # noqa: PLC0415

    return None if text is None else RuntimeVersion.of(text)


def normalisation_of(mean: str | None, std: str | None) -> Normalisation | None:
    """The normalisation that `--mean` and `--std` tell, None where neither is given.

    Raises:
        UserError: one of them is missing, or they are none of pixels in 0..1.
    """
    from search_client.networks.normalisation import Normalisation  # noqa: PLC0415

    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise UserError("--mean and --std need each other; give both")
    return Normalisation(_by_channel(mean, "--mean", 0.0), _by_channel(std, "--std", 1e-6))


def _by_channel(text: str, option: str, least: float) -> tuple[float, float, float]:
    parts = text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(least <= number <= 1 for number in numbers):
        raise UserError(
            f"{option} {text}: expected one number, or three for R, G and B, of pixels in 0..1; "
            "divide those of pixels in 0..255 by 255"
        )
    first, *others = numbers
    second, third = others or (first, first)
    return first, second, third


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
