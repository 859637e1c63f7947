import torch

from search_client.batches import PlainBatches, TrainingBatches
from search_client.modules import FloatNetwork
from search_client.steps import evaluate
from search_client.train import TrainConfig, TrainStep, train
from tests.unit.search_client.tiny import tiny_images, tiny_space


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
