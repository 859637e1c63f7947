"""The one file of a trained network: what training and quantization write, and all else reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, cast

import torch
from pydantic import ValidationError

from netspec.errors import UserError
from netspec.networks import Network
from netspec.validation import first_problem
from search_client.data.folders import P
from search_client.networks.classes import classifier_of
from search_client.networks.layers import FloatNetwork, norm_eps, set_norm_eps
from search_client.networks.normalisation import ByChannel, Normalisation, Renormalise
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.pixels import USUAL
from search_client.training import checkpoints
from search_client.training.checkpoints import State

#: of the file; 1 lacked `mean`, `std` and `eps`, and all networks had the usual ones
FORMAT = 2
SUFFIX = ".network.pt"


class NoTrainedNetwork(UserError):
    """A file or a run's folder does not hold a trained network."""


@dataclass(frozen=True)
class Source:
    """Where a network comes from; goes into the metadata of its files."""

    #: name of the run's folder
    run: str
    #: id and ETag of the table snapshot that it was searched or priced with; None without one
    snapshot: str | None
    #: folder of the images that it was trained on, for later commands; never leaves the run
    data: str = ""

    @classmethod
    def of(cls, run: Path, snapshot: str | None, data: Path | None) -> Self:
        """The source of a network of this run: later commands may start in another folder.

        Args:
            run: its folder.
            snapshot: id of the table.
            data: folder of the images, also relative to where this process is; None: not known.
        """
        return cls(run.resolve().name, snapshot, "" if data is None else str(data.absolute()))


#: where nobody says where a network comes from
NOWHERE = Source(run="", snapshot=None)


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network in float, and in int8 where it was quantized."""

    #: labels in the order of the logits; none where the file is older than labels
    classes: tuple[str, ...]
    source: Source
    model: FloatNetwork
    quantized: QuantizedNetwork | None = None

    @property
    def network(self) -> Network:
        """The architecture, in float32."""
        return self.model.network

    @property
    def normalisation(self) -> Normalisation:
        """Of the images that its weights were trained on."""
        return USUAL if self.model.renormalise is None else self.model.renormalise.wanted

    def save(self, folder: Path, name: str) -> Path:
        """Writes `FOLDER/NAME.network.pt`, whole or not at all."""
        path = trained_network_path(folder, name)
        self.write(path)
        return path

    def write(self, path: Path) -> None:
        """Writes a file, whole or not at all."""
        quantized = self.quantized
        state: State = {
            "format": FORMAT,
            "network": self.network.model_dump_json(),
            "mean": list(self.normalisation.mean),
            "std": list(self.normalisation.std),
            "eps": norm_eps(self.model),
            "dropout": float(classifier_of(self.model).dropout),
            "background": classifier_of(self.model).background,
            "classes": list(self.classes),
            "run": self.source.run,
            "snapshot": self.source.snapshot or "",
            "data": self.source.data,
            "float": self.model.state_dict(),
            "int8_network": "" if quantized is None else quantized.network.model_dump_json(),
            "int8": {} if quantized is None else quantized.state_dict(),
        }
        checkpoints.save(state, path)

    def with_labels(self, classes: Sequence[str]) -> TrainedNetwork:
        """Return the network with its labels: its own, else those of the data it was trained on.

        Raises:
            UserError: it has none, and the data has another number of classes.
        """
        if self.classes:
            return self
        if self.network.classes != len(classes):
            raise UserError(
                f"{self.network.name} tells {self.network.classes} classes apart, but the data "
                f"has {len(classes)}; give the data that it was trained on"
            )
        return replace(self, classes=tuple(classes))

    def relabelled(self, images: P) -> P:
        """Return images with the indices of their labels among the network's classes.

        Raises:
            UserError: the network does not know a class of the images.
        """
        unknown = sorted(set(images.classes) - set(self.classes))
        if unknown:
            raise UserError(
                f"{self.network.name} has no class {', '.join(unknown[:5])}; give the data that "
                "it was trained on, or take over the data's classes with --classes-of-data"
            )
        rows = torch.tensor([self.classes.index(name) for name in images.classes])
        return images.relabelled(rows[images.labels], self.classes)


def renormalised(wanted: Normalisation) -> Renormalise | None:
    """What turns images normalised as usual into those wanted; None where they are the same."""
    return None if wanted == USUAL else Renormalise(USUAL, wanted)


def trained_network_path(folder: Path, name: str) -> Path:
    """Return the file `FOLDER/NAME.network.pt`.

    Raises:
        UserError: the name is empty, or would lead to another folder.
    """
    if not name or Path(name).name != name or "\\" in name:
        raise UserError(
            f"{name!r} is no name of a network in {folder}; give a name without folders, as in "
            "tuned"
        )
    return folder / f"{name}{SUFFIX}"


def unfinished_path(weights: Path) -> Path:
    """Return the file of a training's checkpoint, beside that of the network it will write."""
    return weights.with_suffix(".unfinished.pt")


def trained_network_name(path: Path) -> str:
    """Return NAME of `FOLDER/NAME.network.pt`, or of `FOLDER/NAME.pt`."""
    return path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else path.stem


def trained_network_names(folder: Path) -> tuple[str, ...]:
    """Names of the networks in a run's folder, sorted."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")))


def load_trained_network(folder: Path, name: str) -> TrainedNetwork:
    """The network `FOLDER/NAME.network.pt`, in evaluation mode.

    Raises:
        NoTrainedNetwork: there is none; the message names those that are there.
        BadCheckpoint: it cannot be read.
    """
    path = trained_network_path(folder, name)
    if not path.is_file():
        present = ", ".join(trained_network_names(folder)) or "none"
        raise NoTrainedNetwork(
            f"{folder} holds no trained network {name!r} (it holds: {present}); expected "
            f"{path.name}, as `search-client search` leaves it"
        )
    return read_trained_network(path)


def read_trained_network(path: Path) -> TrainedNetwork:
    """The network of a file, in evaluation mode on the CPU.

    Reads format 2, format 1, and the weights without labels that were written beside format 1.

    Raises:
        NoTrainedNetwork: it holds none, or one that is not built here.
        BadCheckpoint: it cannot be read.
    """
    if not path.is_file():
        raise NoTrainedNetwork(f"there is no trained network {path}; give a NAME{SUFFIX}")
    state = checkpoints.load(path)
    if state.keys() == {"network", "model"}:
        state = _of_weights(state)
    version = state.get("format")
    if version not in (1, FORMAT):
        raise NoTrainedNetwork(
            f"{path} holds no trained network of format 1 or {FORMAT} (but of {version}); expected "
            "what `search-client train`, `search` or `quantize` of this version or before wrote"
        )
    try:
        return _from(state)
    except (KeyError, ValidationError, RuntimeError) as error:
        why = (
            first_problem(error)
            if isinstance(error, ValidationError)
            else f"{type(error).__name__}: {error}"
        )
        raise NoTrainedNetwork(
            f"{path} holds no whole trained network ({why}); write it again"
        ) from error


def _of_weights(state: State) -> State:
    """A file of weights alone in the layout of format 1."""
    empty = {"dropout": 0.0, "classes": [], "run": "", "snapshot": "", "data": ""}
    weights = {"network": state["network"], "float": state["model"]}
    return {"format": 1, **empty, **weights, "int8_network": "", "int8": {}}


def _normalisation(state: State) -> Normalisation:
    mean, std = (
        tuple(state.get(name, usual)) for name, usual in (("mean", USUAL.mean), ("std", USUAL.std))
    )
    return Normalisation(cast("ByChannel", mean), cast("ByChannel", std))


def _from(state: State) -> TrainedNetwork:
    network = Network.model_validate_json(state["network"])
    model = FloatNetwork(network, state["dropout"], renormalised(_normalisation(state)))
    set_norm_eps(model, cast("dict[str, float]", state.get("eps", {})))
    classifier_of(model).background = state.get("background")
    model.load_state_dict(state["float"])
    quantized = None
    if state["int8_network"]:
        network = Network.model_validate_json(state["int8_network"])
        quantized = QuantizedNetwork(network, model)
        quantized.load_state_dict(state["int8"])
        quantized.freeze_norms()
        quantized.freeze_ranges()
        quantized.eval()
    source = Source(state["run"], state["snapshot"] or None, state["data"])
    return TrainedNetwork(tuple(state["classes"]), source, model.eval(), quantized)
