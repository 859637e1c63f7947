import math
from pathlib import Path

import pytest
import torch
from torch.optim import Optimizer

from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.networks.layers import FloatNetwork
from search_client.training.checkpoints import Checkpoints, load
from search_client.training.loop import Diverged, TrainConfig, TrainStep, train
from search_client.training.schedules import cosine, set_learning_rate
from search_client.training.step import evaluate
from tests.unit.search_client.tiny import BreakingBatches, tiny_images, tiny_space


def test_a_network_learns_and_reports_every_step() -> None:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([0, 0]))
    batches = TrainingBatches(tiny_images(48), 16, 16, seed=0)
    steps: list[TrainStep] = []
    epochs: list[int] = []
    config = TrainConfig(epochs=10, learning_rate=0.02, rising_epochs=1)
    history = train(model, batches, config, steps.append, epochs.append)
    assert [step.done for step in steps] == list(range(1, 31))
    assert {step.total for step in steps} == {30}
    assert epochs == list(range(10))
    assert history[-1].loss == steps[-1].loss < history[0].loss
    assert evaluate(model, PlainBatches(tiny_images(30, seed=1), 16, 16)) > 0.8


def _trained(config: TrainConfig) -> tuple[FloatNetwork, list[float]]:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([0, 0]))
    steps: list[TrainStep] = []
    train(model, TrainingBatches(tiny_images(48), 16, 16, seed=0), config, steps.append)
    return model, [step.loss for step in steps]


def _config(**changed: object) -> TrainConfig:
    values = {"epochs": 2, "learning_rate": 0.02, "rising_epochs": 0}
    return TrainConfig.model_validate({**values, **changed})


def test_bfloat16_trains_as_float32_does_but_for_its_rounding() -> None:
    _, plain = _trained(_config())
    model, rounded = _trained(_config(arithmetic="bfloat16"))
    assert rounded != plain
    assert rounded == pytest.approx(plain, abs=0.02)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_training_ends_with_the_moving_average_of_the_weights() -> None:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([0, 0]))
    averages = [model.operators[-1].state_dict()["chain.dense.weight"].clone()]

    def follow(_: TrainStep) -> None:
        now = model.operators[-1].state_dict()["chain.dense.weight"]
        averages.append(0.75 * averages[-1] + 0.25 * now)

    batches = TrainingBatches(tiny_images(48), 16, 16, seed=0)
    train(model, batches, _config(average_decay=0.75), follow)
    assert torch.allclose(
        model.operators[-1].state_dict()["chain.dense.weight"], averages[-1], atol=1e-6
    )


def test_batchnorm_decays_only_where_it_is_asked_to() -> None:
    model = FloatNetwork(tiny_space().network([0, 0]))
    norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for parameter in module.parameters()
    }
    for decays in (True, False):
        config = _config(decay_norms=decays, weight_decay=0.5)
        groups = config.optimizer_of(model).param_groups
        decay = {id(one): group["weight_decay"] for group in groups for one in group["params"]}
        assert len(decay) == len(list(model.parameters()))
        for parameter in model.parameters():
            kept = id(parameter) in norms and not decays
            assert decay[id(parameter)] == (0.0 if kept else 0.5)


@pytest.mark.parametrize(("epochs", "rate"), [(2, 1e30), (1, 3e38)])
def test_a_training_that_diverges_says_so_and_saves_nothing(
    tmp_path: Path, epochs: int, rate: float
) -> None:
    model = FloatNetwork(tiny_space().network([0, 0]))
    # One step an epoch: the second case has no loss after its only update.
    batches = TrainingBatches(tiny_images(16), 16, 16, seed=0)
    path = tmp_path / "a.pt"
    config = _config(epochs=epochs, learning_rate=rate, weight_decay=1e3)
    with pytest.raises(Diverged, match="lower learning_rate") as raised:
        train(model, batches, config, lambda _: None, checkpoints=Checkpoints(path, 1e-9))
    assert f"of {epochs} loss or weights are no finite numbers" in str(raised.value)
    assert not path.exists() or load(path)["position"][0] < epochs


@pytest.mark.parametrize("times", [1, 3])
def test_a_training_goes_back_to_its_last_good_step_with_half_the_learning_rate(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def follow(optimizer: Optimizer, rate: float) -> None:
        rates.append(rate)
        set_learning_rate(optimizer, rate)

    monkeypatch.setattr("search_client.training.loop.set_learning_rate", follow)
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([0, 0]))
    told: list[str] = []
    steps: list[TrainStep] = []
    history = train(model, BreakingBatches(times), _config(), steps.append, tell=told.append)
    plain = [cosine(step, 6, 0.02) for step in range(6)]
    again = [half * rate for half in (0.5, 0.25, 0.125)[:times] for rate in plain[3:5]]
    # From the beginning of the epoch in which it was: two steps of it, and in the end the third.
    assert rates == pytest.approx([*plain[:5], *again, 0.5**times * plain[5]])
    assert [step.done for step in steps] == [1, 2, 3, *[4] * times, 4, 5, 6]
    assert len(told) == times
    assert "after step 5 of 6" in told[0]
    assert "1/2 of the recipe's learning rate" in told[0]
    assert len(history) == 2
    assert all(math.isfinite(epoch.loss) for epoch in history)


def test_a_training_that_went_back_three_times_ends() -> None:
    told: list[str] = []
    model = FloatNetwork(tiny_space().network([0, 0]))
    with pytest.raises(Diverged, match="tried 3 times more from the last good step") as raised:
        train(model, BreakingBatches(4), _config(), lambda _: None, tell=told.append)
    assert len(told) == 3
    assert raised.value.exit_code == 4


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_network_trains_as_the_network_does() -> None:
    _, plain = _trained(_config())
    model, compiled = _trained(_config(compile=True))
    assert compiled == pytest.approx(plain, abs=1e-4)
    # What is saved bears the network's own names.
    FloatNetwork(tiny_space().network([0, 0])).load_state_dict(model.state_dict())
