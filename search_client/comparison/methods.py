"""Ways to come by a network of a space."""

from __future__ import annotations

from enum import StrEnum


class Method(StrEnum):
    """What `search-client compare` puts side by side."""

    #: the network that the search found
    GRADIENT = "gradient"
    #: the most likely choices of its blocks
    ARGMAX = "argmax"
    #: the best of networks drawn on target
    RANDOM = "random"
    #: the best of mutations and crossovers of networks on target
    EVOLUTION = "evolution"
    #: a fresh alpha, moved without the gates' gradient
    REINFORCE = "reinforce"
