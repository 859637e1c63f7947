"""What decides how a space is searched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from search_client.latency.energy import EnergyAim
from search_client.latency.losses import LatencyLoss, LogRatio, TargetLoss
from search_client.search.derive import Rule
from search_client.search.limits import Limits
from search_client.search.sampling import Sampling
from search_client.supernet.binary_gates import Gradient
from search_client.supernet.variants import Weights
from search_client.training.step import WeightConfig

SearchMethod = Literal["gradient", "evolution", "random"]


class SearchConfig(WeightConfig):
    """How a space is searched.

    Defaults: but for `augment`, ProxylessNAS on ImageNet, at batches of 256.
    """

    latency_loss: LatencyLoss = LogRatio()
    gradient: Gradient = Field(
        default="full_v2",
        description="of the choices: `full_v2` compares all of a block in a step, the released "
        "code's default; `two` compares two, as in the paper, and E[LAT] is of these two alone; "
        "`reinforce` compares none and goes by the loss of the sampled path",
    )
    method: SearchMethod = Field(
        default="gradient",
        description="of the search: `gradient` moves the probabilities of choices as it trains; "
        "`evolution` and `random` train the weights in the warm-up alone, then score networks on "
        "target on held-out images",
    )
    evaluations: int = Field(
        default=300, ge=1, description="networks that `evolution` or `random` scores"
    )
    scoring_images: int = Field(
        default=5000, ge=1, description="held-out images that score a network, the same for all"
    )
    recalibration_images: int = Field(
        default=1000,
        ge=1,
        description="training images that BatchNorm's statistics of a scored network come from",
    )
    energy: EnergyAim | None = Field(
        default=None,
        description="of an inference in the loss, alone or weighted with latency; none: not in it",
    )
    limits: Limits = Field(
        default=Limits(), description="that no network of `evolution` or `random` exceeds"
    )
    sampling: Sampling = Field(
        default="probabilities",
        description="of the paths of a weight step: one by the `probabilities` of choices; `fair`: "
        "each choice in one of several; `sandwich`: the largest network, which teaches the "
        "smallest and two random ones; `on_target`: one whose latency is near the reference",
    )
    weights: Weights = Field(
        default="separate",
        description="of the candidates of a block: `separate`, as in the paper, or `shared`: "
        "slices of one largest operator, which all widths share, too",
    )
    largest_epochs: int = Field(
        default=0,
        ge=0,
        description="first epochs of the warm-up that train the largest network alone, of which "
        "all others are slices; with shared weights",
    )
    warmup_epochs: int = Field(default=40, ge=0, description="of weight steps alone")
    warmup_learning_rate: float = Field(default=0.05, gt=0, description="falls by a cosine to 0")
    joint_epochs: int = Field(default=120, ge=1, description="the first has weight steps alone")
    joint_learning_rate: float = Field(default=0.025, gt=0, description="falls by a cosine to 0")
    weight_steps_per_architecture_step: int = Field(
        default=5, ge=1, description="in the joint phase, but for its first epoch"
    )
    architecture_batches: int = Field(
        default=1,
        ge=1,
        description="held-out batches, each on a path of its own, whose mean gradient an "
        "architecture step takes",
    )
    architecture_learning_rate: float = Field(default=1e-3, gt=0, description="Adam's, constant")
    entropy_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight that the entropy of the choices has in the loss at the end; it rises "
        "from 0 over the joint phase, so that a short search decides, too; ProxylessNAS has none",
    )
    entropy_from: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the joint phase before the entropy's weight rises: while alpha knows "
        "little, it would freeze what chance has begun",
    )
    derive: Rule | None = Field(
        default=None,
        description="`argmax` takes the most likely choices, `on_target` the most likely ones "
        "within the tolerance of the reference; by default `on_target` with the loss `target`, "
        "unless that is of energy alone",
    )
    tolerance: float = Field(
        default=0.01, gt=0, lt=1, description="greatest |LAT / R - 1| of an `on_target` network"
    )
    seed: int = Field(default=0, ge=0, description="of the paths that are drawn")

    @property
    def rule(self) -> Rule:
        """How the network is derived at the end."""
        if self.derive is not None:
            return self.derive
        aims_at_latency = self.energy is None or not self.energy.alone
        on_target = isinstance(self.latency_loss, TargetLoss) and aims_at_latency
        return "on_target" if on_target else "argmax"
