"""Latency losses of one's own: registered, or installed as an entry point of a package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from netspec.errors import UserError
from search_client.latency.own_loss import FUNCTIONS, OwnLoss, latency_loss
from search_client.recipe import read_recipe
from search_client.runs.record import read_record
from tests.docs.pages import all_blocks
from tests.unit.search_client.installed import install
from tests.unit.search_client.tiny_run import SETTINGS, changed, tiny_search

MODULE = """
def hinge(cross_entropy, expected_ms, reference_ms, weight=1.0):
    return cross_entropy + weight * (expected_ms / reference_ms - 0.5).clamp_min(0)
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FUNCTIONS, "_known", {})


def _install_hinge(folder: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"hinge": "hinge_loss:hinge"}
    install(folder, content, monkeypatch, "hinge_loss", FUNCTIONS.group, points)


def test_a_recipe_names_the_loss_of_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install_hinge(tmp_path, MODULE, monkeypatch)
    given = "search.latency_loss={kind='own', name='hinge', values={weight=2.0}}"
    loss = read_recipe("demo", [given]).search.latency_loss
    assert isinstance(loss, OwnLoss)
    loss.check(8.0)
    # By hand: twice what 12 / 8 is above 0.5, and the cross-entropy.
    assert float(loss(torch.tensor(2.0), torch.tensor(12.0), 8.0)) == 4.0


def test_the_page_shows_a_loss_that_a_recipe_can_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {block.title: block.text for block in all_blocks() if "your-loss" in block.page}
    project = tomllib.loads(shown["pyproject.toml"])["project"]
    ((group, points),) = project["entry-points"].items()
    install(tmp_path, shown["my_losses.py"], monkeypatch, "my_losses", group, points)
    (tmp_path / "recipe.toml").write_text(shown["by-my-loss.toml"])
    loss = read_recipe(str(tmp_path / "recipe.toml")).search.latency_loss
    assert isinstance(loss, OwnLoss)
    loss.check(8.0)
    given = [float(loss(torch.tensor(2.0), torch.tensor(e), 8.0)) for e in (12.0, 4.0)]
    assert given == pytest.approx([2 + 2.0 * 0.5, 2 + 0.1 * 0.5])


def test_a_search_by_a_registered_loss_is_read_back(tmp_path: Path) -> None:
    seen: list[float] = []

    @latency_loss("squared")
    def squared(cross_entropy: Tensor, expected_ms: Tensor, reference_ms: float) -> Tensor:
        seen.append(reference_ms)
        return cross_entropy + (expected_ms / reference_ms - 1.5) ** 2

    search = {**SETTINGS.search.model_dump(), "latency_loss": {"kind": "own", "name": "squared"}}
    settings = changed(search=search)
    tiny_search(tmp_path, settings)
    assert set(seen) == {10.0}
    assert read_record(tmp_path).settings == settings


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise RuntimeError('no')", r"cannot be imported from its package .RuntimeError: no."),
        ("def hinge(c, e, r): return c", "failed on cross-entropy 2 .* depends on both"),
        ("def hinge(c, e, r): return [c, e]", "failed on cross-entropy 2"),
        ("def hinge(c, e): return c + e", "failed on .*TypeError"),
        ("def hinge(c, e, r): return c + (e / r - 1).sqrt()", "gradient is no finite number"),
    ],
)
def test_a_loss_that_no_search_can_go_by_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, says: str
) -> None:
    _install_hinge(tmp_path / "package", module, monkeypatch)
    search = {**SETTINGS.search.model_dump(), "latency_loss": {"kind": "own", "name": "hinge"}}
    with pytest.raises(UserError, match=says):
        tiny_search(tmp_path / "run", changed(search=search))
    assert not (tmp_path / "run").exists()


def test_an_unknown_loss_is_answered_with_the_likeliest_name() -> None:
    latency_loss("hinge")(lambda *_: torch.zeros(()))
    with pytest.raises(UserError, match=r"no latency loss 'hing' .*hinge"):
        OwnLoss(name="hing").check(8.0)
