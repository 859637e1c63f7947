"""Training that starts from the weights that a search's supernet has for its network."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.networks import Network
from search_client.data.batches import TrainingBatches
from search_client.networks.layers import FloatNetwork
from search_client.recipe import Recipe
from search_client.runs.load import LoadedRun
from search_client.search.sampling import extreme
from search_client.search.scoring import first_images
from search_client.supernet.subnetwork import subnetwork
from search_client.training import distributed
from search_client.training.distillation import distilling
from search_client.training.norm_statistics import recalibrate
from search_client.training.step import LossChange


@dataclass(frozen=True)
class Inheritance:
    """What a training begins from."""

    #: in evaluation mode, with statistics of its own
    model: FloatNetwork
    #: towards what the supernet's largest network answers; None: the labels alone
    change: LossChange | None


def inherit(
    run: LoadedRun, network: Network, batches: TrainingBatches, settings: Recipe
) -> Inheritance:
    """Cut a network out of a run's supernet, and its teacher with it.

    Shared weights are sliced, separate candidates copied. BatchNorm's statistics are taken anew on
    the first of the batches: a supernet has none, or those of all paths together. The teacher
    runs at the network's input size, which convolutions do not depend on.

    Args:
        run: a search that has ended.
        network: of the run's space.
        batches: that the network will be trained on.
        settings: of the training.

    Raises:
        UserError: the run's space has no such network.
    """
    family = run.family.to(distributed.device())
    images = first_images(batches.epoch(0), settings.search.recalibration_images)
    model = subnetwork(family, *run.candidate(network), settings.train.dropout)
    model.network = network
    teacher = subnetwork(family, *extreme(family, largest=True))
    for network_of_path in (model, teacher):
        recalibrate(network_of_path, images)
        # Each process took the statistics of its own images.
        distributed.agree(network_of_path)
    return Inheritance(model, distilling(teacher, settings.train.inherit.distillation))
