"""What a task measures: an operator, a network or an uploaded model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.protocol import Sha256, Text
from netspec.wire.message import Message


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


Subject = Annotated[OperatorSubject | NetworkSubject | ModelSubject, Field(discriminator="kind")]
