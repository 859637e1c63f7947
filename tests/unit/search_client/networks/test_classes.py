import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_client.networks.classes import (
    BACKGROUND,
    BadClasses,
    classifier_of,
    with_background,
    with_classes,
)
from search_client.networks.layers import FloatNetwork
from tests.unit.search_client.tiny import tiny_space

CLASSES = ("ant", "bee", "cat", "dog")


def trained(seed: int = 0) -> FloatNetwork:
    torch.manual_seed(seed)
    model = FloatNetwork(tiny_space(classes=4).network([0, 6])).eval()
    dense = classifier_of(model)
    torch.nn.init.normal_(dense.weight)
    torch.nn.init.normal_(dense.bias)
    return model


def test_the_background_has_the_least_bias_and_anothers_weight() -> None:
    model = trained()
    grown, classes = with_background(model, CLASSES, seed=3)
    assert classes == (BACKGROUND, *CLASSES)
    assert grown.network.classes == 5
    old, new = classifier_of(model), classifier_of(grown)
    assert new.bias[0] == old.bias.min()
    donors = [row for row in range(4) if torch.equal(new.weight[0], old.weight[row])]
    assert len(donors) == 1
    assert old.bias[donors[0]] > old.bias.min()
    assert torch.equal(new.weight[1:], old.weight)
    assert torch.equal(new.bias[1:], old.bias)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
@torch.no_grad()
def test_the_background_is_never_predicted_and_the_others_as_before(seed: int) -> None:
    model = trained(seed)
    grown, _ = with_background(model, CLASSES, seed)
    images = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 3
    before, after = model(images), grown(images)
    assert torch.allclose(after[:, 1:], before, atol=1e-5)
    assert (after.argmax(1) == before.argmax(1) + 1).all()


def test_seeds_decide_whose_weight_it_is() -> None:
    model = trained()
    rows = [classifier_of(with_background(model, CLASSES, seed)[0]).weight[0] for seed in range(20)]
    assert torch.equal(rows[0], classifier_of(with_background(model, CLASSES, 0)[0]).weight[0])
    assert any(not torch.equal(rows[0], row) for row in rows)


def test_a_second_background_and_untrained_biases_are_refused() -> None:
    model, classes = with_background(trained(), CLASSES, 0)
    with pytest.raises(BadClasses, match="already has a class 'background'"):
        with_background(model, classes, 0)
    untrained = FloatNetwork(tiny_space(classes=4).network([0, 6]))
    with pytest.raises(BadClasses, match="all classes have the same bias"):
        with_background(untrained, CLASSES, 0)


@torch.no_grad()
def test_other_classes_keep_what_is_known_and_begin_anew_elsewhere() -> None:
    grown, classes = with_background(trained(), CLASSES, 0)
    model = with_classes(grown, classes, ("dog", "eel", "ant"), seed=0)
    old, new = classifier_of(grown), classifier_of(model)
    assert model.network.classes == 3
    assert torch.equal(new.weight[0], old.weight[4])
    assert torch.equal(new.weight[2], old.weight[1])
    assert new.weight[1].abs().max() < 0.1
    assert new.bias.tolist() == [old.bias[4], 0.0, old.bias[1]]
    with pytest.raises(BadClasses, match="2 classes with 1 different names"):
        with_classes(model, ("dog",), ("dog", "dog"), 0)
