"""The search of a space: warm-up, then weights and architecture in turn, then one network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from netspec.errors import UserError
from netspec.networks import Network
from search_client.data.batches import Batches
from search_client.latency.energy import EnergyFound
from search_client.latency.losses import LatencyLoss, LogRatio
from search_client.latency.objective import Goal
from search_client.latency.own_loss import OwnLoss
from search_client.search.candidates import Candidate, OnTarget
from search_client.search.config import SearchConfig
from search_client.search.derive import Derived, Rule, most_likely, on_target
from search_client.search.evolution import evolution, random_search
from search_client.search.history import History, SearchStep
from search_client.search.loop import Search
from search_client.search.progress import expected_ms
from search_client.search.reachable import nearest_to_target
from search_client.search.scoring import Scorer, first_images
from search_client.supernet.variants import Family
from search_client.training import distributed
from search_client.training.checkpoints import Checkpoints, State

#: logit of what was chosen by scores, over 0 of all else: nothing else is as likely
DECIDED = 20.0


@dataclass(frozen=True)
class SearchResult:
    """Where a search ended."""

    #: what the search found, by the config's rule
    found: Derived
    #: the most likely choice in every block, for comparison
    most_likely: Derived
    #: E[LAT] of the final probabilities, by target
    expected_ms: tuple[float, ...]
    history: History
    #: None: it is not in the loss
    energy: EnergyFound | None = None

    @property
    def network(self) -> Network:
        """The network found."""
        return self.found.network

    @property
    def choices(self) -> list[int]:
        """One a block, as in `Space.network`."""
        return self.found.choices


def derive(family: Family, goal: Goal, rule: Rule, tolerance: float) -> Derived:
    """The network of the family's probabilities, by a rule.

    Raises:
        NoNetworkOnTarget: by `on_target`, where there is none.
    """
    return most_likely(family, goal) if rule == "argmax" else on_target(family, goal, tolerance)


def search(
    family: Family,
    goal: Goal,
    training: Batches,
    held_out: Batches,
    config: SearchConfig,
    on_step: Callable[[SearchStep], None] = lambda _: None,
    checkpoints: Checkpoints | None = None,
    resume: State | None = None,
    on_network: Callable[[int, int], None] = lambda _done, _total: None,
    tell: Callable[[str], None] = lambda _: None,
) -> SearchResult:
    """Search a space: warm-up, then the joint phase, then one network.

    Args:
        family: trained in place, on its own device.
        goal: E[LAT] of the family's variants and their references, on the same device.
        training: for the weight steps; one epoch after another.
        held_out: for the architecture steps; apart from `training`, not augmented, shuffled.
        config: how.
        on_step: called after weight steps, ten times a second at most, and after each epoch.
        checkpoints: saves the search as it goes.
        resume: a state that they saved.
        on_network: called with the networks that were scored, and all, by other methods than
            the gradient.
        tell: hears when the search goes back to its last good step, with half the learning rate.

    Raises:
        UserError: the latency loss does not exist for the space's latencies, the schedule has no
            architecture step, the method runs in one process only, a setting needs shared
            weights, or no network can be held within the limits.
        NotFinite: the search diverged.
        Stopped: the process was asked to end; the state is saved.
    """
    if config.method != "gradient" and distributed.world() > 1:
        raise UserError(
            f"search.method = {config.method} scores networks in one process; start it without "
            "torchrun, or search by the gradient"
        )
    if config.method == "gradient":
        check_steps(config, len(training))
    if config.largest_epochs and config.weights == "separate":
        raise UserError(
            "search.largest_epochs trains the network that all others are slices of, but with "
            "search.weights = separate none is; set it to 0, or search.weights to shared"
        )
    check_limits(goal, family, config)
    run = Search(family, goal, training, held_out, config, on_step, tell)
    check_loss(goal, family, config.latency_loss)
    if resume is not None:
        run.load_state(resume)
    saved = checkpoints or Checkpoints(None)
    with saved.watching():
        run.run(saved)
        scores = {} if config.method == "gradient" else _by_scores(run, saved, resume, on_network)
    saved.save({**run.state(), **scores})
    likeliest = most_likely(family, goal)
    found = likeliest
    if config.rule == "on_target":
        found = nearest_to_target(family, goal, config.tolerance)
    return SearchResult(
        found=found,
        most_likely=likeliest,
        expected_ms=expected_ms(family, goal),
        history=run.history,
        energy=_energy_found(family, goal, found, likeliest),
    )


@torch.no_grad()
def _energy_found(
    family: Family, goal: Goal, found: Derived, likeliest: Derived
) -> EnergyFound | None:
    if goal.energy is None:
        return None
    expected = goal.expected_mj(family, 0)
    ends = [goal.path_mj(one.variant, one.choices) for one in (found, likeliest)]
    values = [0.0 if one is None else one.item() for one in (expected, *ends)]
    return EnergyFound(
        reference_mj=goal.energy.reference_mj,
        weight=goal.energy.weight,
        expected_mj=values[0],
        found_mj=values[1],
        likeliest_mj=values[2],
    )


def _by_scores(
    run: Search, saved: Checkpoints, resume: State | None, on_network: Callable[[int, int], None]
) -> State:
    """Let alpha and beta decide for the network that scores best; the scores, for a checkpoint.

    A search that is taken up again draws the same networks, and does not score any twice.
    """
    config, family = run.config, run.family
    scorer = Scorer(
        family,
        first_images(run.held_out.epoch(0), config.scoring_images),
        first_images(run.training.epoch(0), config.recalibration_images),
        {Candidate(one[0], tuple(one[1])): one[2] for one in (resume or {}).get("scores", [])},
        config,
    )

    def scores() -> State:
        return {"scores": [[one.variant, list(one.choices), a] for one, a in scorer.known.items()]}

    def advance(done: int) -> None:
        on_network(done, config.evaluations)
        saved.step(lambda: {**run.state(), **scores()})

    space = OnTarget(family, run.goal, config.tolerance, config.seed, config.limits)
    searcher = evolution if config.method == "evolution" else random_search
    found = searcher(scorer, space, config.evaluations, advance).network
    with torch.no_grad():
        for parameter in family.architecture():
            parameter.zero_()
        family.beta[found.variant] = DECIDED
        blocks = torch.arange(len(found.choices))
        family.supernet(found.variant).alpha[blocks, torch.tensor(found.choices)] = DECIDED
    return scores()


def check_steps(config: SearchConfig, per_epoch: int) -> None:
    """See that a search by the gradient moves alpha at all, `per_epoch` weight steps an epoch.

    Raises:
        UserError: its network would be the one that alpha was drawn for.
    """
    every = config.weight_steps_per_architecture_step
    # The first epoch of the joint phase has weight steps alone.
    if config.joint_epochs * per_epoch // every == per_epoch // every:
        raise UserError(
            f"the search would end without one architecture step: {config.joint_epochs} joint "
            f"epochs of {per_epoch} weight steps, one architecture step in {every}, none in the "
            "first epoch; raise search.joint_epochs, or lower "
            "search.weight_steps_per_architecture_step"
        )


def check_limits(goal: Goal, family: Family, config: SearchConfig) -> None:
    """See that some network on target is within the limits, and that they can be kept.

    Raises:
        UserError: the method knows no limits, a table does not predict what is limited, or there
            is no such network.
    """
    limits = config.limits
    if not limits.given:
        return
    if config.method == "gradient":
        raise UserError(
            f"search.limits ({', '.join(limits.given)}) hold networks that are scored, and the "
            "gradient scores none; set search.method to evolution or random, or leave them out"
        )
    OnTarget(family, goal, config.tolerance, config.seed, limits).draw()


def check_loss(goal: Goal, family: Family, loss: LatencyLoss) -> None:
    """See that a latency loss exists for every network of a family.

    Raises:
        UserError: it does not.
    """
    if isinstance(loss, OwnLoss):
        for aim in goal.aims:
            loss.check(aim.reference_ms)
    if not isinstance(loss, LogRatio):
        return
    for target, aim in enumerate(goal.aims):
        for variant in range(len(family.variants)):
            latency = goal.expected_latency(target, variant)
            exists = family.supernet(variant).exists
            costs = latency.costs_ms.masked_fill(~exists, torch.inf)
            fastest = functional.one_hot(costs.argmin(dim=1), costs.shape[1])
            loss.check(latency(fastest).item(), aim.reference_ms)
