import math

import pytest
import torch

from netspec.errors import UserError
from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import LatencyLoss, Linear, LogRatio, TargetLoss
from search_client.latency.objective import Goal
from search_client.search import progress
from search_client.search.architecture_step import ArchitectureSteps
from search_client.search.config import SearchConfig
from search_client.search.history import SearchStep
from search_client.search.loop import Search
from search_client.search.search import SearchResult, search
from search_client.supernet.binary_gates import Gradient
from search_client.supernet.variants import Family
from search_client.training.step import WeightConfig
from tests.unit.search_client.tiny import tiny_images, tiny_space

ZERO = 6
#: ms of a block's candidates; the third is the cheapest
COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0)


def _goal(reference_ms: float = 8.0) -> Goal:
    costs = torch.tensor([[*COSTS_MS, 0.0]]).repeat(2, 1)
    return Goal.single(ExpectedLatency(2.0, costs), reference_ms)


def _search(
    config: SearchConfig, reference_ms: float = 8.0, steps: list[SearchStep] | None = None
) -> tuple[Family, SearchResult]:
    torch.manual_seed(0)
    family = Family(tiny_space())
    result = search(
        family,
        _goal(reference_ms),
        TrainingBatches(tiny_images(32), 16, 16, seed=0),
        PlainBatches(tiny_images(16, seed=1), 16, 16, shuffle_seed=0),
        config,
        (steps if steps is not None else []).append,
    )
    return family, result


def _config(gradient: Gradient, loss: LatencyLoss, joint_epochs: int) -> SearchConfig:
    return SearchConfig(
        latency_loss=loss,
        gradient=gradient,
        warmup_epochs=1,
        joint_epochs=joint_epochs,
        weight_steps_per_architecture_step=1,
        architecture_learning_rate=0.1,
    )


@pytest.mark.parametrize("gradient", ["two", "full_v2"])
def test_a_dominant_latency_loss_finds_the_fastest_network(gradient: Gradient) -> None:
    _, result = _search(_config(gradient, Linear(weight=1000.0), joint_epochs=20))
    assert result.choices == [2, ZERO]
    assert result.network.operators == tiny_space().network([2, ZERO]).operators
    first = result.history.epochs[0].expected_ms
    assert 3.0 <= result.expected_ms[0] < first


def test_target_lifts_a_latency_that_began_below_the_reference() -> None:
    config = _config("full_v2", TargetLoss(weight=1000.0), joint_epochs=25)
    _, result = _search(config, reference_ms=12.0)
    assert result.history.epochs[0].expected_ms < 11.0
    assert result.expected_ms[0] == pytest.approx(12.0, abs=0.6)


def test_architecture_steps_begin_in_the_second_joint_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "REPORT_S", 0.0)
    steps: list[SearchStep] = []
    config = _config("full_v2", Linear(), joint_epochs=3)
    _, result = _search(
        config.model_copy(update={"weight_steps_per_architecture_step": 2}), steps=steps
    )
    assert [(step.phase, step.done, step.total) for step in steps] == [
        *(("warm-up", done, 2) for done in (1, 2)),
        *(("joint", done, 6) for done in range(1, 7)),
    ]
    assert [step.weight_steps for step in result.history.architecture_steps] == [6, 8]
    epochs = result.history.epochs
    assert [epoch.weight_steps for epoch in epochs] == [2, 4, 6, 8]
    assert [epoch.phase for epoch in epochs] == ["warm-up", "joint", "joint", "joint"]
    assert epochs[0].probabilities == epochs[1].probabilities != epochs[2].probabilities
    assert [len(row) for row in epochs[0].probabilities] == [6, 7]
    assert epochs[0].entropy == pytest.approx(math.log(42) / 2, abs=1e-4)


@pytest.mark.parametrize("gradient", ["two", "full_v2"])
def test_an_architecture_step_moves_alpha_and_nothing_else(gradient: Gradient) -> None:
    family = Family(tiny_space()).train()
    held_out = PlainBatches(tiny_images(16), 16, 16, shuffle_seed=0)
    config = _config(gradient, Linear(), joint_epochs=1)
    run = Search(family, _goal(), held_out, held_out, config)
    before = {name: value.clone() for name, value in family.state_dict().items()}
    run._architecture_step(progress=0.5)
    changed = {name for name, value in family.state_dict().items() if not value.equal(before[name])}
    assert changed == {"supernets.0.alpha"}
    moved = family.supernet(0).alpha != before["supernets.0.alpha"]
    assert moved.sum(dim=1).tolist() == ([2, 2] if gradient == "two" else [6, 7])
    assert all(parameter.grad is None for parameter in family.parameters())


@pytest.mark.parametrize("deep", [False, True])
def test_an_architecture_step_trains_what_was_evaluated(deep: bool) -> None:
    family = Family(tiny_space()).train()
    (family.supernet(0) if deep else family).eval()
    steps = ArchitectureSteps(family, _goal(), Linear(), "two", 0.0, WeightConfig())
    batch = torch.randn(2, 3, 16, 16), torch.tensor([0, 1])
    steps.step([batch], torch.Generator(), 0.0)
    assert all(module.training for module in family.modules())


@pytest.mark.parametrize("gradient", ["two", "full_v2"])
def test_a_search_in_bfloat16_has_the_gradients_of_float32_but_for_rounding(
    gradient: Gradient,
) -> None:
    gradients = {}
    torch.manual_seed(1)
    images, labels = torch.randn(8, 3, 16, 16), torch.arange(8) % 3
    for arithmetic in ("float32", "bfloat16"):
        torch.manual_seed(0)
        family = Family(tiny_space())
        alpha = family.supernet(0).alpha
        with torch.no_grad():
            # Fresh candidates compute one function, and none has a gradient.
            for weight in family.weights():
                weight.add_(0.1 * torch.randn_like(weight))
        config = WeightConfig.model_validate({"arithmetic": arithmetic})
        steps = ArchitectureSteps(family, _goal(), Linear(weight=1e-9), gradient, 0.0, config)
        held: list[torch.Tensor] = []
        # Taken where Adam would use it.
        steps.optimizer.register_step_pre_hook(
            lambda *_, alpha=alpha, held=held: held.append(alpha.grad.clone())
        )
        steps.step([(images, labels)], torch.Generator().manual_seed(0), 0.0)
        gradients[arithmetic] = held[-1]
    exact = gradients["float32"]
    assert exact.abs().max() > 0
    assert not torch.equal(gradients["bfloat16"], exact)
    assert torch.allclose(gradients["bfloat16"], exact, atol=0.1 * float(exact.abs().max()))


def test_the_entropys_weight_makes_a_short_search_decide() -> None:
    config = _config("full_v2", TargetLoss(weight=0.1), joint_epochs=12)
    undecided = _search(config, reference_ms=8.0)[1].history.epochs[-1].entropy
    deciding = config.model_copy(update={"entropy_weight": 10.0})
    decided = _search(deciding, reference_ms=8.0)[1].history.epochs[-1].entropy
    assert decided < 0.5 * undecided


def test_the_same_seed_finds_the_same_probabilities() -> None:
    config = _config("two", Linear(), joint_epochs=2)
    first, second = _search(config)[1], _search(config)[1]
    assert first.history == second.history


def test_log_ratio_is_refused_where_networks_are_faster_than_1_ms() -> None:
    latency = ExpectedLatency(0.2, torch.tensor([[*COSTS_MS, 0.0]]).repeat(2, 1) / 10)
    batches = PlainBatches(tiny_images(4), 16, 4)
    config = SearchConfig(latency_loss=LogRatio())
    # fixed 0.2, the first block's cheapest 0.1, Zero in the second
    with pytest.raises(UserError, match=r"networks down to 300 us"):
        search(Family(tiny_space()), Goal.single(latency, 8.0), batches, batches, config)


def test_defaults_are_the_released_codes() -> None:
    config = SearchConfig()
    assert (config.warmup_epochs, config.joint_epochs) == (40, 120)
    assert (config.warmup_learning_rate, config.joint_learning_rate) == (0.05, 0.025)
    assert (config.momentum, config.weight_decay, config.label_smoothing) == (0.9, 4e-5, 0.1)
    assert config.weight_steps_per_architecture_step == 5
    assert config.architecture_learning_rate == 1e-3
    assert config.latency_loss == LogRatio(alpha=0.2, beta=0.3)
    assert config.gradient == "full_v2"
