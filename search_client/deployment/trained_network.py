"""Trained networks kept in a run's folder, so that files can be exported and verified later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netspec.errors import UserError
from netspec.networks import Network
from search_client.networks.layers import FloatNetwork
from search_client.quantization.network import QuantizedNetwork
from search_client.training import checkpoints

#: of the file; a later one may hold more
FORMAT = 1
SUFFIX = ".network.pt"


class NoArtifact(UserError):
    """A run's folder does not hold a trained network."""


@dataclass(frozen=True)
class Source:
    """Where a network comes from; goes into the metadata of its files."""

    #: name of the run's folder
    run: str
    #: id and ETag of the table snapshot that it was searched or priced with; None without one
    snapshot: str | None
    #: folder of the images that it was trained on, for later commands; never leaves the run
    data: str = ""


@dataclass(frozen=True)
class Artifact:
    """A trained network in float, and in int8 where it was quantized."""

    classes: tuple[str, ...]
    source: Source
    model: FloatNetwork
    quantized: QuantizedNetwork | None = None

    @property
    def network(self) -> Network:
        """The architecture, in float32."""
        return self.model.network

    def save(self, folder: Path, name: str) -> Path:
        """Writes `FOLDER/NAME.network.pt`, whole or not at all."""
        quantized = self.quantized
        path = artifact_path(folder, name)
        state: checkpoints.State = {
            "format": FORMAT,
            "network": self.network.model_dump_json(),
            "dropout": float(_dropout(self.model)),
            "classes": list(self.classes),
            "run": self.source.run,
            "snapshot": self.source.snapshot or "",
            "data": self.source.data,
            "float": self.model.state_dict(),
            "int8_network": "" if quantized is None else quantized.network.model_dump_json(),
            "int8": {} if quantized is None else quantized.state_dict(),
        }
        checkpoints.save(state, path)
        return path


def _dropout(model: FloatNetwork) -> float:
    found = getattr(model.operators[-1].get_submodule("chain.dense"), "dropout", 0.0)
    return float(found)


def artifact_path(folder: Path, name: str) -> Path:
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


def artifact_names(folder: Path) -> tuple[str, ...]:
    """Names of the networks in a run's folder, sorted."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")))


def load_artifact(folder: Path, name: str) -> Artifact:
    """The network `FOLDER/NAME.network.pt`, in evaluation mode.

    Raises:
        NoArtifact: there is none; the message names those that are there.
        BadCheckpoint: it cannot be read.
    """
    path = artifact_path(folder, name)
    if not path.is_file():
        present = ", ".join(artifact_names(folder)) or "none"
        raise NoArtifact(
            f"{folder} holds no trained network {name!r} (it holds: {present}); expected "
            f"{path.name}, as `search-client search` leaves it"
        )
    state = checkpoints.load(path)
    if state.get("format") != FORMAT:
        raise NoArtifact(
            f"{path} has format {state.get('format')}, expected {FORMAT}; write it again with "
            "this version"
        )
    model = FloatNetwork(Network.model_validate_json(state["network"]), state["dropout"])
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
    return Artifact(tuple(state["classes"]), source, model.eval(), quantized)
