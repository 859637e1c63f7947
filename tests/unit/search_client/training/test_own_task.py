"""Tasks of one's own: said once in a recipe, learned by every part of a run."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from netspec.errors import UserError
from netspec.networks import mobilenet_v2
from search_client.deployment.trained_network import NOWHERE, TrainedNetwork
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig
from search_client.recipe import BadRecipe, read_recipe
from search_client.runs.record import read_record
from search_client.stages.quantize import QuantizeOptions, quantize_network
from search_client.stages.train import train_network
from search_client.training.own_task import FUNCTIONS, OwnTask, task
from search_client.training.step import Mean, Mixed, NotFinite, WeightConfig, weight_step
from tests.docs.pages import all_blocks
from tests.unit.search_client.installed import install
from tests.unit.search_client.tiny import tiny_images
from tests.unit.search_client.tiny_run import QUIET, changed, tiny_search


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FUNCTIONS, "_known", {})


def _squares(logits: Tensor, labels: Tensor, *, weight: float = 1.0) -> Tensor:
    """How far the logit of the label is from 1, squared."""
    return weight * (logits[torch.arange(len(labels)), labels] - 1) ** 2


def test_a_recipe_says_once_what_all_of_it_learns() -> None:
    wanted = OwnTask(name="squares", values={"weight": 2.0})
    recipe = read_recipe("demo", ["task={name='squares', values={weight=2.0}}"])
    assert recipe.task == wanted
    assert [recipe.search.task, recipe.train.task, recipe.finetune.task] == [wanted] * 3
    # As a run's record has it, and with another one in its place.
    assert type(recipe).model_validate_json(recipe.model_dump_json()) == recipe
    again = read_recipe("demo", ["task={name='squares'}", "train.epochs=3"])
    assert (again.train.task, again.train.epochs) == (OwnTask(name="squares"), 3)


def test_one_part_has_no_task_of_its_own() -> None:
    with pytest.raises(BadRecipe, match=r"train.task: all parts learn one task; give it as `task`"):
        read_recipe("demo", ["train.task={name='squares'}"])


def test_a_step_moves_weights_down_the_task_of_mixed_images_too() -> None:
    task("squares")(_squares)
    config = WeightConfig(task=OwnTask(name="squares", values={"weight": 3.0}), weight_decay=0.0)
    layer = nn.Linear(2, 2, bias=False)
    nn.init.eye_(layer.weight)
    optimizer = config.optimizer(layer.parameters())
    optimizer.param_groups[0]["lr"] = 0.1
    batch = torch.tensor([[3.0, 2.0]]), torch.tensor([0])
    mean = Mean()
    mixed = Mixed(others=torch.tensor([1]), share=0.25)
    weight_step(layer, batch, optimizer, config, mean, mixed=mixed)
    # By hand: 3 (3 - 1)^2 and 3 (2 - 1)^2, weighed; Nesterov's first step is 1.9 gradients.
    assert mean.loss == pytest.approx(0.25 * 12 + 0.75 * 3)
    moved = 0.1 * 1.9 * torch.outer(torch.tensor([0.25 * 12, 0.75 * 6]), torch.tensor([3.0, 2.0]))
    assert torch.allclose(layer.weight, torch.eye(2) - moved)


def test_a_loss_in_the_millions_ends_a_training_as_no_number_does(tmp_path: Path) -> None:
    @task("growing")
    def growing(logits: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, labels, reduction="none") * 1e7

    with pytest.raises(NotFinite, match=r"or the loss is above 1,000,000; lower search\.warmup"):
        tiny_search(tmp_path, changed(task={"name": "growing"}))
    settings, images = changed(task={"name": "growing"}), tiny_images(48)
    with pytest.raises(NotFinite, match="or the loss is above 1,000,000; lower learning_rate"):
        train_network(mobilenet_v2(16, 0.25, 3), images, images, settings, QUIET)


def test_search_training_and_finetuning_learn_it(tmp_path: Path) -> None:
    seen: list[bool] = []

    @task("seen")
    def losses(logits: Tensor, labels: Tensor) -> Tensor:
        seen.append(logits.requires_grad)
        # What no cross-entropy would teach: the last class, whatever the label is.
        return nn.functional.cross_entropy(logits, labels * 0 + 1, reduction="none")

    settings = changed(task={"name": "seen"})
    tiny_search(tmp_path, settings)
    assert read_record(tmp_path).settings == settings
    # Once to try it; two weight steps an epoch in three of them, an architecture step after each.
    assert len(seen) > 1 + 6

    images = tiny_images(48)
    longer = settings.train.model_copy(update={"epochs": 8, "learning_rate": 0.5})
    network = mobilenet_v2(16, 0.25, len(images.classes))
    model, _ = train_network(
        network, images, images, settings.model_copy(update={"train": longer}), QUIET
    )
    assert model(torch.randn(16, 3, 16, 16)).argmax(dim=1).unique().tolist() == [1]

    seen.clear()
    options = QuantizeOptions(
        finetuning=QatConfig(epochs=1, task=OwnTask(name="seen")), batch_size=16, seed=0
    )
    trained = TrainedNetwork(images.classes, NOWHERE, FloatNetwork(network))
    quantize_network(trained, images, options, QUIET)
    assert len(seen) == 1 + 3


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise RuntimeError('no')", r"cannot be imported from its package .RuntimeError: no."),
        ("def ages(logits, labels): return labels.float()", "depends on the logits"),
        ("def ages(logits, labels): return logits.mean()", r"shape \[\] .* expected .* \[4\]"),
        ("def ages(logits, labels): return logits", r"shape \[4, 3\]"),
        ("def ages(logits): return logits[0]", "failed on .*TypeError"),
        ("def ages(logits, labels): return (logits - 9).log()[:, 0]", "no finite number"),
    ],
)
def test_a_task_that_nothing_can_learn_is_refused_before_a_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, says: str
) -> None:
    install(
        tmp_path / "package",
        module,
        monkeypatch,
        "my_ages",
        FUNCTIONS.group,
        {"ages": "my_ages:ages"},
    )
    settings = changed(task={"name": "ages"})
    with pytest.raises(UserError, match=says):
        tiny_search(tmp_path / "run", settings)
    assert not (tmp_path / "run").exists()
    images = tiny_images(48)
    with pytest.raises(UserError, match=says):
        train_network(mobilenet_v2(16, 0.25, 3), images, images, settings, QUIET)


def test_an_unknown_task_is_answered_with_the_likeliest_name() -> None:
    task("ages")(_squares)
    with pytest.raises(UserError, match=r"no task 'age' .*ages"):
        OwnTask(name="age").check(10)


def test_the_page_shows_a_task_that_a_recipe_can_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {block.title: block.text for block in all_blocks() if "your-task" in block.page}
    project = tomllib.loads(shown["pyproject.toml"])["project"]
    ((group, points),) = project["entry-points"].items()
    install(tmp_path, shown["my_tasks.py"], monkeypatch, "my_tasks", group, points)
    (tmp_path / "recipe.toml").write_text(shown["by-my-task.toml"])
    own = read_recipe(str(tmp_path / "recipe.toml")).task
    assert own is not None
    own.check(10)
    # All of it on the first of three classes: one class off, by half.
    logits = torch.tensor([[99.0, 0.0, 0.0]])
    assert float(own(logits, torch.tensor([1]))) == pytest.approx(99 + 0.5)
