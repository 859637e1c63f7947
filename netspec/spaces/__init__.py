"""Search spaces: networks with choices, as data.

A space is a stem, stages of blocks that each choose among operators of any registered kind, and a
head. Published spaces are files, see `shipped_spaces`; what one leaves out is as in ProxylessNAS.
"""

from netspec.spaces.files import named_values, read_space, shipped_spaces
from netspec.spaces.plan import OperatorPlan, Slot
from netspec.spaces.space import LEAST_MAP, PROXYLESS_STAGES, Space
from netspec.spaces.stage import Block, Stage

__all__ = [
    "LEAST_MAP",
    "PROXYLESS_STAGES",
    "Block",
    "OperatorPlan",
    "Slot",
    "Space",
    "Stage",
    "named_values",
    "read_space",
    "shipped_spaces",
]
