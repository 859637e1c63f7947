"""A search or training that was interrupted anywhere ends as if it had not been."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from PIL import Image
from torch import nn

from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.data.stored import Files, StoredImages
from search_client.data.unreadable import UnreadableImages
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import TargetLoss
from search_client.latency.objective import Aim, Goal
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.network import QuantizedNetwork
from search_client.search.config import SearchConfig
from search_client.search.search import SearchResult, search
from search_client.supernet.binary_gates import Gradient
from search_client.supernet.variants import Family
from search_client.training.checkpoints import BadCheckpoint, Checkpoints, State, Stopped, load
from search_client.training.loop import TrainConfig, _Training, train
from tests.unit.search_client.tiny import tiny_images, tiny_space

#: weight steps of the whole search: 1 + 3 epochs of 3
STEPS = 12


class _StopsAt(Checkpoints):
    """Saves and stops after a given number of steps, as after a signal."""

    def __init__(self, path: Path, step: int) -> None:
        super().__init__(path)
        self.left = step

    def step(self, state: Callable[[], State]) -> None:
        self.left -= 1
        if self.left == 0:
            self._signal = "SIGTERM"
        super().step(state)


def _config(gradient: Gradient = "two") -> SearchConfig:
    return SearchConfig(
        latency_loss=TargetLoss(weight=0.1),
        gradient=gradient,
        warmup_epochs=1,
        joint_epochs=3,
        weight_steps_per_architecture_step=2,
        architecture_learning_rate=0.05,
        tolerance=0.5,
    )


def _search(
    config: SearchConfig,
    checkpoints: Checkpoints,
    resume: State | None = None,
    sizes: tuple[int, ...] = (),
) -> tuple[Family, SearchResult]:
    # A resumed search is another process: nothing it starts with may matter.
    torch.manual_seed(0 if resume is None else 99)
    family = Family(tiny_space(), sizes=sizes)
    costs = torch.tensor([[5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0]]).repeat(2, 1)
    latencies = [ExpectedLatency(2.0 + i, costs) for i in range(len(family.variants))]
    result = search(
        family,
        Goal([Aim("a", 9.0)], [latencies]),
        TrainingBatches(tiny_images(24), family.input_size, 8, seed=0),
        PlainBatches(tiny_images(12, seed=1), family.input_size, 8, shuffle_seed=0),
        config,
        checkpoints=checkpoints,
        resume=resume,
    )
    return family, result


@cache
def _whole_search(gradient: Gradient) -> tuple[State, Family, SearchResult]:
    """A search that nothing interrupts, with the state that it leaves."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "whole.pt"
        family, result = _search(_config(gradient), Checkpoints(path))
        return load(path), family, result


@pytest.mark.parametrize("gradient", ["two", "full_v2", "reinforce"])
@pytest.mark.parametrize("step", [1, 3, 4, 8, 11])
def test_a_search_goes_on_bit_for_bit(tmp_path: Path, gradient: Gradient, step: int) -> None:
    config = _config(gradient)
    whole, family, result = _whole_search(gradient)
    stopped = tmp_path / "stopped.pt"
    with pytest.raises(Stopped):
        _search(config, _StopsAt(stopped, step))
    assert load(stopped)["weight_steps"] == step
    resumed, again = _search(config, Checkpoints(stopped), load(stopped))
    _assert_equal(whole, load(stopped))
    assert again.history == result.history
    assert again.choices == result.choices
    for one, other in zip(family.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_search_over_sizes_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = _config("full_v2")
    _, result = _search(config, Checkpoints(tmp_path / "whole.pt"), sizes=(16, 24))
    stopped = tmp_path / "stopped.pt"
    with pytest.raises(Stopped):
        _search(config, _StopsAt(stopped, 10), sizes=(16, 24))
    _, again = _search(config, Checkpoints(stopped), load(stopped), sizes=(16, 24))
    _assert_equal(load(tmp_path / "whole.pt"), load(stopped))
    assert again.history == result.history
    assert sum(again.history.epochs[-1].variants) == pytest.approx(1)


def _assert_equal(one: object, other: object) -> None:
    """States are equal, tensors bit for bit."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for name in one:
            _assert_equal(one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list):
        for mine, theirs in zip(one, other, strict=True):
            _assert_equal(mine, theirs)
    else:
        assert one == other


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with pytest.raises(Stopped):
        _search(_config(), _StopsAt(path, 2))
    other = _config().model_copy(update={"joint_epochs": 5})
    with pytest.raises(BadCheckpoint, match="other settings"):
        _search(other, Checkpoints(path), load(path))


def test_a_checkpoint_of_another_space_or_other_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with pytest.raises(Stopped):
        _search(_config(), _StopsAt(path, 2))
    state = load(path)
    with pytest.raises(BadCheckpoint, match="a search of another space"):
        _search(_config(), Checkpoints(path), state, sizes=(16, 24))
    with pytest.raises(BadCheckpoint, match="other settings or data"):
        _search(_config(), Checkpoints(path), {**state, "batches": [3, 9]})


def _on_disk(folder: Path) -> StoredImages:
    images = tiny_images(24)
    paths = []
    for index, image in enumerate(images.images):
        paths.append(str(folder / f"{index}.png"))
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(paths[-1])
    source, left_out = Files(tuple(paths)), UnreadableImages(24)
    every = torch.arange(24)
    return StoredImages(source, every, images.labels, images.classes, 18, 0, left_out)


def _interrupted(
    run: Callable[[Checkpoints, State | None], nn.Module], path: Path, step: int
) -> tuple[nn.Module, nn.Module]:
    """What a run ends with when nothing stops it, and when a step does: the same, bit for bit."""
    whole = run(Checkpoints(None), None)
    with pytest.raises(Stopped):
        run(_StopsAt(path, step), None)
    resumed = run(Checkpoints(path), load(path))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    return whole, resumed


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_training_goes_on_bit_for_bit(tmp_path: Path, step: int, stored: bool) -> None:
    config = TrainConfig(epochs=2, mixup=0.2, dropout=0.2, average_decay=0.5)
    images = _on_disk(tmp_path) if stored else tiny_images(24)

    def run(checkpoints: Checkpoints, resume: State | None) -> FloatNetwork:
        torch.manual_seed(0 if resume is None else 99)
        model = FloatNetwork(tiny_space().network([0, 0]), dropout=0.2)
        batches = TrainingBatches(images, 16, 8, seed=0)
        train(model, batches, config, lambda _: None, checkpoints=checkpoints, resume=resume)
        return model

    _interrupted(run, tmp_path / "a.pt", step)


@pytest.mark.parametrize("step", [1, 3, 5, 8, 9])
def test_finetuning_goes_on_bit_for_bit(tmp_path: Path, step: int) -> None:
    """Interrupted while BatchNorm lives, once it is folded, with fixed ranges, and at the end."""
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([0, 0]))
    config = QatConfig(
        epochs=3, norm_epochs=1, frozen_epochs=1, mixup=0.2, average_decay=0.5, distillation=0.5
    )

    def run(checkpoints: Checkpoints, resume: State | None) -> QuantizedNetwork:
        torch.manual_seed(0 if resume is None else 99)
        batches = TrainingBatches(tiny_images(24), 16, 8, seed=0)
        quantized, history = finetune_int8(
            model, batches, config, lambda _: None, checkpoints=checkpoints, resume=resume
        )
        assert len(history) == 3
        return quantized

    whole, resumed = _interrupted(run, tmp_path / "a.pt", step)
    images = torch.randn(2, 3, 16, 16)
    # In train mode: ranges and statistics are fixed in both.
    assert torch.equal(whole(images), resumed(images))
    assert torch.equal(whole(9 * images), resumed(9 * images))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    config = TrainConfig(epochs=2)

    def run(
        checkpoints: Checkpoints,
        resume: State | None,
        path: tuple[int, int] = (0, 0),
        images: int = 24,
        config: TrainConfig = config,
    ) -> None:
        model = FloatNetwork(tiny_space().network(path))
        batches = TrainingBatches(tiny_images(images), 16, 8, seed=0)
        train(model, batches, config, lambda _: None, checkpoints=checkpoints, resume=resume)

    with pytest.raises(Stopped):
        run(_StopsAt(path, 2), None)
    state, nowhere = load(path), Checkpoints(None)
    with pytest.raises(BadCheckpoint, match="other settings or data"):
        run(nowhere, state, config=TrainConfig(epochs=3))
    with pytest.raises(BadCheckpoint, match="other settings or data"):
        run(nowhere, state, images=40)
    with pytest.raises(BadCheckpoint, match="a training of another network"):
        run(nowhere, state, path=(3, 5))
    model = FloatNetwork(tiny_space().network((0, 0)))
    batches = TrainingBatches(tiny_images(24), 16, 8, seed=0)
    with pytest.raises(BadCheckpoint, match="other settings or data"):
        finetune_int8(model, batches, QatConfig(epochs=2), lambda _: None, resume=state)


def test_a_resumed_average_stays_on_the_models_device() -> None:
    config = TrainConfig(average_decay=0.5)
    batches = TrainingBatches(tiny_images(24), 16, 8, seed=0)
    network = tiny_space().network([0, 0])
    state = _Training(FloatNetwork(network), batches, config).state()
    resumed = _Training(FloatNetwork(network), batches, config)
    before = dict(resumed.average)
    resumed.load_state(state)
    for name, value in resumed.average.items():
        # Written into, not replaced by what was read onto the CPU.
        assert value is before[name]
        assert torch.equal(value, state["average"][name])
