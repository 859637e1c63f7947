import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.networks.layers import FloatNetwork
from search_client.quantization.delegable import keep_delegable
from search_client.quantization.finetuning import QatConfig, calibrate, finetune_int8
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.post_training import quantize_post_training
from search_client.training.distillation import distilled
from search_client.training.loop import Diverged, TrainConfig, train
from search_client.training.schedules import cosine
from search_client.training.step import NotFinite, evaluate
from tests.unit.search_client.tiny import tiny_images, tiny_space

BATCHES = TrainingBatches(tiny_images(64), 16, 16, seed=0)


@pytest.fixture(scope="module")
def model() -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([1, 2]))
    for images, _ in BATCHES:
        model(images)
    return model.eval()


def test_finetuning_moves_weights_then_keeps_ranges_and_spares_the_float_network(
    model: FloatNetwork,
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = QatConfig(epochs=3, frozen_epochs=1, learning_rate=0.1)
    seen: list[int] = []
    network, history = finetune_int8(model, BATCHES, config, lambda step: seen.append(step.done))
    assert seen == list(range(1, 13))
    assert len(history) == 3
    after = network.parameters_for_export().ranges
    network.train()(torch.full((2, 3, 16, 16), 50.0))
    assert network.parameters_for_export().ranges == after
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    fresh = QuantizedNetwork.from_float(model)
    assert not any(
        a.equal(b) for a, b in zip(network.parameters(), fresh.parameters(), strict=True)
    )


def statistics(network: QuantizedNetwork) -> list[torch.Tensor]:
    return [
        layer.norm.running_mean.clone()
        for layer in network.layers()
        if layer.norm is not None and layer.norm.running_mean is not None
    ]


@pytest.mark.parametrize("count", [0, 3])
def test_statistics_are_taken_anew_when_batch_norm_stops_following(
    model: FloatNetwork, count: int
) -> None:
    config = QatConfig(epochs=3, norm_epochs=1, frozen_epochs=1, statistics_batches=count)
    network, history = finetune_int8(model, BATCHES, config, lambda _: None)
    assert len(history) == 3
    norms = [layer.norm for layer in network.layers() if layer.norm is not None]
    seen = {int(norm.num_batches_tracked) for norm in norms if norm.num_batches_tracked is not None}
    # Those of the float network and of one epoch, or of the re-estimation alone.
    assert seen == ({count} if count else {2 * len(BATCHES)})
    assert {norm.momentum for norm in norms} == {0.1}


@pytest.mark.parametrize(
    ("norm_epochs", "frozen_epochs", "moving"),
    [(1, 1, [True, False, False]), (3, 1, [True, True, False]), (0, 0, [False, False, False])],
)
def test_batch_norm_freezes_after_its_epochs_and_with_the_ranges_at_the_latest(
    model: FloatNetwork, norm_epochs: int, frozen_epochs: int, moving: list[bool]
) -> None:
    seen: list[bool] = []
    frozen_ranges: list[bool] = []
    networks: list[QuantizedNetwork] = []
    original = QuantizedNetwork.forward

    def watched(self: QuantizedNetwork, x: torch.Tensor) -> torch.Tensor:
        before = statistics(self)
        y = original(self, x)
        pairs = zip(before, statistics(self), strict=True)
        seen.append(not all(a.equal(b) for a, b in pairs))
        frozen_ranges.append(all(layer.output.frozen for layer in self.layers() if layer.output))
        networks.append(self)
        return y

    config = QatConfig(epochs=3, norm_epochs=norm_epochs, frozen_epochs=frozen_epochs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuantizedNetwork, "forward", watched)
        finetune_int8(model, BATCHES, config, lambda _: None)
    # 4 batches calibrate, 3 epochs of 4 batches train
    assert seen[:4] == [False] * 4
    assert seen[4::4] == moving
    assert frozen_ranges[4::4] == [epoch >= 3 - frozen_epochs for epoch in range(3)]


def test_distillation_is_the_divergence_from_the_teachers_choices() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    assert distilled(logits, logits).item() == pytest.approx(0.0, abs=1e-7)
    # at temperature 2: teacher (0.5, 0.5), student softmax(1, 0) = (0.7311, 0.2689);
    # KL = 0.5 ln(0.5 / 0.7311) + 0.5 ln(0.5 / 0.2689) = 0.1201, times 4
    assert distilled(logits, torch.zeros(1, 2)).item() == pytest.approx(0.4805, abs=1e-3)


def test_distillation_alone_pulls_towards_the_float_network(model: FloatNetwork) -> None:
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        for module in teacher.modules():
            if isinstance(module, nn.Linear):
                module.weight.mul_(100)
    config = QatConfig(epochs=4, frozen_epochs=1, norm_epochs=0, distillation=1.0)
    images = next(iter(PlainBatches(tiny_images(60, seed=3), 16, 60)))[0]

    def divergence(network: nn.Module) -> float:
        with torch.no_grad():
            of_network = functional.log_softmax(network.eval()(images), dim=1)
            of_teacher = functional.softmax(teacher(images), dim=1)
        return functional.kl_div(of_network, of_teacher, reduction="batchmean").item()

    start = QuantizedNetwork.from_float(teacher)
    with torch.no_grad():
        for layer in start.layers():
            if layer.layer.kind == "dense":
                layer.weight.zero_()
    calibrate(start, BATCHES)
    network, _ = finetune_int8(teacher, BATCHES, config, lambda _: None)
    assert divergence(network) < 0.1 * divergence(start)


def _by_hand(model: FloatNetwork, config: QatConfig) -> QuantizedNetwork:
    """What finetuning is, step by step, without the loop."""
    network = QuantizedNetwork.from_float(model)
    batches = TrainingBatches(tiny_images(64), 16, 16, seed=0)
    calibrate(network, batches)
    optimizer = torch.optim.SGD(
        network.train().parameters(), 0.0, config.momentum, nesterov=True, weight_decay=4e-5
    )
    for epoch in range(config.epochs):
        last = epoch >= config.epochs - config.frozen_epochs
        if last:
            network.freeze_ranges()
        if last or epoch >= config.norm_epochs:
            network.freeze_norms()
        if epoch == config.epochs - config.frozen_epochs:
            keep_delegable(network)
        for index, (images, labels) in enumerate(batches.epoch(epoch), epoch * len(batches)):
            rate = cosine(index, config.epochs * len(batches), config.learning_rate)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            logits = network(images)
            loss = functional.cross_entropy(logits, labels, label_smoothing=0.1)
            with torch.no_grad():
                teacher = model(images)
            torch.autograd.backward(loss.lerp(distilled(logits, teacher), config.distillation))
            optimizer.step()
    keep_delegable(network)
    return network


def test_the_loop_does_what_steps_by_hand_do(model: FloatNetwork) -> None:
    config = QatConfig(epochs=3, norm_epochs=1, frozen_epochs=1, distillation=0.3)
    batches = TrainingBatches(tiny_images(64), 16, 16, seed=0)
    network, _ = finetune_int8(model, batches, config, lambda _: None)
    expected = _by_hand(model, config).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("distillation", [0.0, 0.5])
def test_finetuning_that_diverges_says_so(model: FloatNetwork, distillation: float) -> None:
    config = QatConfig(
        epochs=3, norm_epochs=0, frozen_epochs=1, learning_rate=1e30, distillation=distillation
    )
    message = r"diverged: after step \d of 12 .*lower learning_rate \(now 1e\+30\)"
    with pytest.raises(Diverged, match=message):
        finetune_int8(model, BATCHES, config, lambda _: None)


def test_a_network_that_is_no_number_is_not_quantized(model: FloatNetwork) -> None:
    broken = copy.deepcopy(model)
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    for run in (
        lambda: finetune_int8(broken, BATCHES, QatConfig(), lambda _: None),
        lambda: quantize_post_training(broken, BATCHES),
    ):
        with pytest.raises(NotFinite, match="range of an activation is no finite number"):
            run()


def test_both_ways_to_int8_spare_the_float_network_and_keep_most_of_its_accuracy() -> None:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([0, 6]))
    data = tiny_images(200)
    config = TrainConfig(epochs=8, rising_epochs=2, learning_rate=0.5)
    train(model, TrainingBatches(data, 16, 20, seed=0), config, lambda _: None)
    test = PlainBatches(tiny_images(60, seed=1), 16, 60)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = quantize_post_training(model, PlainBatches(data, 16, 20))
    finetuning = QatConfig(epochs=3, frozen_epochs=1, norm_epochs=1, learning_rate=0.05)
    finetuned, _ = finetune_int8(
        model, TrainingBatches(data, 16, 20, seed=0), finetuning, lambda _: None
    )
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert evaluate(network, test) > evaluate(model, test) - 0.1
    assert evaluate(finetuned, test) > evaluate(model, test) - 0.1
    assert evaluate(model, test) > 0.6
