"""Every kind of operator that there is: the project's own, and those of installed packages.

A package registers its classes in its own metadata, as entry points of the group `GROUP`:

    [project.entry-points."netspec.operators"]
    shuffle = "my_operators:ShuffleBlock"
"""

from __future__ import annotations

from importlib.metadata import entry_points
from inspect import isabstract

from netspec.errors import InvalidSpec
from netspec.operators.base import OperatorBase
from netspec.operators.bottleneck import Bottleneck
from netspec.operators.classifier import Classifier
from netspec.operators.conv import Conv
from netspec.operators.convert import Convert
from netspec.operators.fused import FusedBottleneck
from netspec.operators.grouped import GroupedBottleneck
from netspec.operators.head import FeatureMix, HeadConv
from netspec.operators.mbconv import MBConv
from netspec.operators.parts.elementwise import Elementwise
from netspec.operators.parts.padding import Padding
from netspec.operators.parts.shuffle import ChannelShuffle
from netspec.operators.parts.squeeze_excite import SqueezeExcite
from netspec.operators.pool import GlobalPool, Pool
from netspec.operators.residual_pair import ResidualPair
from netspec.operators.stem import StemConv
from netspec.operators.universal import UniversalBottleneck

GROUP = "netspec.operators"

_OWN: tuple[type[OperatorBase], ...] = (
    StemConv,
    MBConv,
    HeadConv,
    Classifier,
    Convert,
    Bottleneck,
    FusedBottleneck,
    UniversalBottleneck,
    Conv,
    ResidualPair,
    Pool,
    GlobalPool,
    Elementwise,
    Padding,
    SqueezeExcite,
    FeatureMix,
    GroupedBottleneck,
    ChannelShuffle,
)


def registered_operators() -> tuple[type[OperatorBase], ...]:
    """The classes of all kinds, the project's own first.

    Raises:
        InvalidSpec: an entry point cannot be loaded, or names no operator, one without layers, or a
            kind that there is already.
    """
    kinds = {operator.kind_name(): operator for operator in _OWN}
    for entry in entry_points(group=GROUP):
        where = f"the entry point {entry.name} = {entry.value} of the group {GROUP}"
        try:
            operator = entry.load()
        except (ImportError, AttributeError) as error:
            raise InvalidSpec(
                f"{where} cannot be loaded: {error}; install its package again, or remove it, and "
                "import `netspec.operators` before the package itself"
            ) from error
        if not (isinstance(operator, type) and issubclass(operator, OperatorBase)):
            raise InvalidSpec(f"{where} is no operator; expected a class of OperatorBase")
        known = kinds.setdefault(operator.kind_name(), operator)
        if known is not operator:
            raise InvalidSpec(
                f"{where} is of the kind {operator.kind_name()!r}, which {known.__name__} has; "
                "give it a kind of its own"
            )
        if isabstract(operator):
            raise InvalidSpec(f"{where} has no method `build`, which puts its layers together")
    return tuple(kinds.values())
