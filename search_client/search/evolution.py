"""Evolution and random search by a trained supernet's scores, among networks on target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from search_client.search.candidates import Candidate, OnTarget
from search_client.search.derive import derived
from search_client.search.scoring import Scored, Scorer
from search_client.supernet.variants import Family

#: networks that evolution keeps as parents. Source: Once-for-all (ICLR 2020), section 4.
PARENTS = 25
#: random networks at the beginning
POPULATION = 50
#: networks that are scored before the predictor is fitted again
GENERATION = 10
#: children of which the predictor chooses one
CHILDREN = 8
#: penalty of the predictor: a choice seen once counts half
RIDGE = 1.0


def random_search(
    scorer: Scorer,
    space: OnTarget,
    evaluations: int,
    on_network: Callable[[int], None] = lambda _: None,
) -> Scored:
    """The best of so many networks on target."""
    scores: dict[Candidate, float] = {}
    for done in range(evaluations):
        candidate = space.draw()
        scores[candidate] = scorer.accuracy(candidate)
        on_network(done + 1)
    return _best(scorer, space, scores)


def evolution(
    scorer: Scorer,
    space: OnTarget,
    evaluations: int,
    on_network: Callable[[int], None] = lambda _: None,
) -> Scored:
    """The best of so many networks, after the first ones children of the best before them.

    A predictor, fitted on all scores so far, chooses among children before any is scored.
    """
    scores: dict[Candidate, float] = {}
    predictor = Predictor(space.family)
    for done in range(evaluations):
        if done < POPULATION:
            candidate = space.draw()
        else:
            if (done - POPULATION) % GENERATION == 0:
                predictor.fit(scores)
            parents = sorted(scores, key=lambda one: (scores[one], one), reverse=True)[:PARENTS]
            children = [space.child(parents) for _ in range(CHILDREN)]
            fresh = [child for child in children if child not in scores] or children
            candidate = fresh[int(predictor.accuracies(fresh).argmax())]
        scores[candidate] = scorer.accuracy(candidate)
        on_network(done + 1)
    return _best(scorer, space, scores)


class Predictor:
    """Accuracy as a sum over variant and choices: ridge regression on what was scored."""

    def __init__(self, family: Family) -> None:
        self.variants = len(family.variants)
        self.choices = family.supernet(0).alpha.shape[1]
        self._weights: npt.NDArray[np.float64] | None = None
        self._mean = 0.0

    def fit(self, scores: dict[Candidate, float]) -> None:
        """To accuracies of networks."""
        x = self._features(list(scores))
        y = np.array(list(scores.values()))
        self._mean = float(y.mean())
        gram = x.T @ x + RIDGE * np.eye(x.shape[1])
        self._weights = np.asarray(np.linalg.solve(gram, x.T @ (y - self._mean)), np.float64)

    def accuracies(self, candidates: Sequence[Candidate]) -> npt.NDArray[np.float64]:
        """Predicted fractions; before the first fit all alike."""
        if self._weights is None:
            return np.zeros(len(candidates))
        return np.asarray(self._mean + self._features(candidates) @ self._weights)

    def _features(self, candidates: Sequence[Candidate]) -> npt.NDArray[np.float64]:
        """One-hot variant, and one-hot choice of every block."""
        rows = []
        for variant, choices in candidates:
            row = np.zeros(self.variants + len(choices) * self.choices)
            row[variant] = 1.0
            row[self.variants + np.arange(len(choices)) * self.choices + np.array(choices)] = 1.0
            rows.append(row)
        return np.stack(rows)


def _best(scorer: Scorer, space: OnTarget, scores: dict[Candidate, float]) -> Scored:
    best = max(scores, key=lambda one: (scores[one], one))
    network = derived(space.family, space.goal, best.variant, list(best.choices), "on_target")
    return scorer.scored(network)
