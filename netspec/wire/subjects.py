"""What a task is about: an operator, a network, a model, or one of these run for something else."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.protocol import Sha256, Text
from netspec.wire.message import Message
from netspec.wire.outputs.energy import Rounds, WindowSeconds


class OperatorSubject(Message):
    """One operator by itself."""

    kind: Literal["operator"] = "operator"
    operator: Operator

    @property
    def content_hash(self) -> str:
        """The operator's content hash."""
        return self.operator.content_hash

    @property
    def name(self) -> str:
        """The operator's canonical key."""
        return self.operator.key

    @property
    def precision(self) -> Precision | None:
        """The operator's precision."""
        return self.operator.precision


class NetworkSubject(Message):
    """A whole network with seeded weights."""

    kind: Literal["network"] = "network"
    network: Network

    @property
    def content_hash(self) -> str:
        """The network's content hash."""
        return self.network.content_hash

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    @property
    def precision(self) -> Precision | None:
        """The operators' precision, None where it is mixed."""
        precisions = {operator.precision for operator in self.network.operators}
        return precisions.pop() if len(precisions) == 1 else None


class ModelSubject(Message):
    """An uploaded `.tflite` file."""

    kind: Literal["model"] = "model"
    sha256: Sha256
    name: Text

    @property
    def content_hash(self) -> str:
        """SHA-256 of the file."""
        return self.sha256

    @property
    def precision(self) -> Precision | None:
        """Not known: the file says."""
        return None


#: images of one piece
MAX_IMAGES = 512
#: characters of a model's name in that of a subject; the rest says which images
_NAME_PART = 160

#: of each image, which of the model's outputs its true class is
Labels = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**21)], ...], Field(min_length=1, max_length=MAX_IMAGES)
]


class ImagePiece(Message):
    """A part of an image set, which is run as a whole: images that lie in one file."""

    #: of the file, see `netspec.images`
    images: Sha256
    labels: Labels


class EvaluationSubject(Message):
    """An uploaded model on one piece of an image set."""

    kind: Literal["evaluation"] = "evaluation"
    model: ModelSubject
    piece: ImagePiece
    #: position of its first image in the set
    first: Annotated[int, Field(ge=0)]

    @property
    def content_hash(self) -> str:
        """SHA-256 of all that it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def name(self) -> str:
        """The model's name, and which images."""
        last = self.first + len(self.piece.labels) - 1
        return f"{self.model.name[:_NAME_PART]}, images {self.first} to {last}"

    @property
    def precision(self) -> Precision | None:
        """Not known: the file says."""
        return None


#: that something runs without pause
Minutes = Annotated[float, Field(ge=1, le=60)]


class SustainedSubject(Message):
    """A network or an uploaded model that runs without pause."""

    kind: Literal["sustained"] = "sustained"
    subject: Annotated[NetworkSubject | ModelSubject, Field(discriminator="kind")]
    minutes: Minutes

    @property
    def content_hash(self) -> str:
        """SHA-256 of all that it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def name(self) -> str:
        """The subject's name, and for how long."""
        return f"{self.subject.name[:_NAME_PART]}, {self.minutes:g} min without pause"

    @property
    def precision(self) -> Precision | None:
        """The subject's."""
        return self.subject.precision


class EnergySubject(Message):
    """An operator, a network or an uploaded model whose energy is measured."""

    kind: Literal["energy"] = "energy"
    subject: Annotated[OperatorSubject | NetworkSubject | ModelSubject, Field(discriminator="kind")]
    #: rounds of windows
    windows: Rounds
    #: of a window, at least
    seconds: WindowSeconds

    @property
    def content_hash(self) -> str:
        """SHA-256 of all that it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def name(self) -> str:
        """The subject's name, and that it is about energy."""
        return f"{self.subject.name[:_NAME_PART]}, energy"

    @property
    def precision(self) -> Precision | None:
        """The subject's."""
        return self.subject.precision


#: of which there are visits
MeasuredSubject = OperatorSubject | NetworkSubject | ModelSubject
Subject = Annotated[
    MeasuredSubject | EvaluationSubject | SustainedSubject | EnergySubject,
    Field(discriminator="kind"),
]
