from __future__ import annotations

from typing import Any

import pytest

from netspec.operators import Classifier
from netspec.spaces import Space
from netspec.wire import EnergyRequest, TargetSelector
from profiler_server.dashboard.filing.alternatives import ALTERNATIVES, DEFAULTS, BadForm
from profiler_server.dashboard.filing.fields import STEPS, request_of

TARGET = "0123456789abcdef"
CLASSIFIER = Classifier(input_size=1, in_channels=8, out_channels=2)
OPERATOR = f'{{"operators": [{CLASSIFIER.model_dump_json()}]}}'
MODEL = '{"models": [{"sha256": "' + "ab" * 32 + '", "name": "m"}]}'
RECIPE = """
precision = "int8"
[space]
input_size = 32
width = 0.5
kernels = [3, 5]
stages = [{ channels = 24, depth = 2, stride = 2 }]
[search]
gradient = "full_v2"
"""


def filled(**fields: Any) -> dict[str, Any]:
    return {**DEFAULTS, "name": "a job", "target_id": TARGET, **fields}


def test_the_form_as_it_comes_asks_for_the_space_in_both_precisions() -> None:
    request = request_of(filled())
    assert request.name == "a job"
    assert request.target_id == TARGET
    assert request.spaces == (Space(input_size=224, width=1.0, classes=1000),)
    assert request.precisions == ("float32", "int8")
    assert (request.rounds, request.priority, request.remeasure) == (10, 0, False)
    assert request.method == "isolated"


def test_devices_are_chosen_by_labels() -> None:
    request = request_of(filled(target_id="", labels="rack=2, owner = vision ,"))
    assert request.target_id is None
    assert request.select == TargetSelector(labels={"rack": "2", "owner": "vision"})


def test_a_recipe_gives_its_space() -> None:
    (space,) = request_of(filled(subject="recipe", recipe=RECIPE, recipe_classes="10")).spaces
    assert (space.input_size, space.width, space.kernels, space.classes) == (32, 0.5, (3, 5), 10)
    assert len(space.blocks) == 2


def test_a_recipe_that_names_classes_keeps_them() -> None:
    recipe = "[space]\nclasses = 7\n"
    (space,) = request_of(filled(subject="recipe", recipe=recipe)).spaces
    assert space.classes == 7
    with pytest.raises(BadForm, match="its space has 7 classes, and classes were typed, too"):
        request_of(filled(subject="recipe", recipe=recipe, recipe_classes="10"))


def test_a_published_space_is_as_published_but_for_what_is_typed() -> None:
    spaces = request_of(filled(space="cifar")).spaces
    assert len(spaces) == 12
    (space,) = request_of(filled(space="cifar", input_size="32", width="0.5", classes="7")).spaces
    assert (space.kind, space.input_size, space.width, space.classes) == ("cifar", 32, 0.5, 7)


def test_a_job_without_a_name_is_called_by_what_it_measures() -> None:
    assert request_of(filled(name=" ", space="fbnet")).name == "space fbnet"
    assert request_of(filled(name="", subject="recipe", recipe=RECIPE)).name == "space of a recipe"


def test_every_field_belongs_to_one_question() -> None:
    assert sorted(name for names in STEPS.values() for name in names) == sorted(DEFAULTS)


def test_energy_is_measured_once_in_windows() -> None:
    request = request_of(filled(quantity="energy", windows="12", seconds="3.5"))
    assert request.energy == EnergyRequest(windows=12, seconds=3.5)
    assert (request.rounds, request.method) == (1, "isolated")
    # Not by the name that a job of the same latencies has.
    unnamed = filled(name="", quantity="energy", space="fbnet")
    assert request_of(unnamed).name == "energy of space fbnet"


#: of each field something that nobody has typed there before
TYPED = {
    "target_id": TARGET,
    "labels": "rack=2",
    "space": "fbnet",
    "input_size": "32",
    "width": "0.5",
    "classes": "10",
    "recipe": RECIPE,
    "recipe_classes": "10",
    "document": OPERATOR,
    "rounds": "3",
    "method": "in_network",
    "windows": "7",
    "seconds": "3",
}
#: an answer to each question that is good but for what is typed beside it
GOOD = {
    "target": {"where": "target", "target_id": TARGET},
    "labels": {"where": "labels", "labels": "rack=2", "target_id": ""},
    "recipe": {"subject": "recipe", "recipe": RECIPE},
    "document": {"subject": "document", "document": OPERATOR},
    "energy": {"quantity": "energy"},
}
BESIDE = [
    (question, chosen, name)
    for question, ways in ALTERNATIVES.items()
    for chosen in ways
    for other, way in ways.items()
    if other != chosen
    for name in way.fields
]


@pytest.mark.parametrize(("question", "chosen", "name"), BESIDE)
def test_nothing_is_filled_in_for_what_is_not_chosen(question: str, chosen: str, name: str) -> None:
    good = filled(**GOOD.get(chosen, {}))
    assert request_of(good)
    (other,) = (one for one in ALTERNATIVES[question].values() if name in one.fields)
    with pytest.raises(BadForm) as caught:
        request_of({**good, name: TYPED[name]})
    title = ALTERNATIVES[question][chosen].title
    said = f"“{title}” is chosen, but “{other.fields[name]}” is filled in: choose “{other.title}”"
    assert said in str(caught.value)
    assert question in STEPS[caught.value.step]


def test_every_field_of_an_alternative_is_one_of_its_question() -> None:
    assert {name for _, _, name in BESIDE} == TYPED.keys()
    for question, ways in ALTERNATIVES.items():
        (step,) = (names for names in STEPS.values() if question in names)
        assert set(step) >= {name for way in ways.values() for name in way.fields}


def test_a_document_names_what_the_api_takes() -> None:
    request = request_of(filled(subject="document", document=MODEL, remeasure="yes"))
    assert [model.sha256 for model in request.models] == ["ab" * 32]
    assert request.remeasure


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "n" * 201}, "name: "),
        ({"where": "else"}, "Choose one of “On one target”, “On all devices with certain"),
        ({"where": "labels", "target_id": ""}, "Name at least one label"),
        ({"target_id": ""}, "Choose a target"),
        ({"target_id": "", "labels": "rack"}, "expected name=value"),
        ({"target_id": "", "labels": "=2"}, "expected name=value"),
        ({"subject": "recipe", "space": "fbnet"}, "or put proxylessnas back there"),
        ({"space": "mine"}, "There is no space 'mine'"),
        ({"target_id": "", "labels": "RACK=2"}, "a name has small letters"),
        ({"target_id": "x"}, "target_id: "),
        ({"subject": "else"}, "Choose one of “A published space”"),
        ({"quantity": "power"}, "Choose one of “Latency”, “Energy of an inference”"),
        ({"quantity": "energy", "windows": "5"}, "windows: expected greater than or equal to 6"),
        ({"quantity": "energy", "windows": "six"}, "windows: expected a whole number"),
        ({"quantity": "energy", "seconds": "1"}, "seconds: expected greater than or equal to 2"),
        ({"quantity": "energy", "seconds": "nan"}, "seconds: "),
        ({"input_size": "large"}, "input size: expected a whole number, got 'large'"),
        ({"width": "1,0"}, "width multiplier: expected a number"),
        ({"width": "nan"}, "spaces.0.width"),
        ({"width": "0"}, "spaces.0.width"),
        ({"rounds": "0"}, "rounds: "),
        ({"priority": "1.5"}, "priority: expected a whole number"),
        ({"method": "guessed"}, "method: "),
        (
            {"subject": "document", "document": OPERATOR, "method": "in_network"},
            "the method `in_network` profiles",
        ),
        ({"precisions": ("float16",)}, "precisions.0"),
        ({"name": "a\0"}, "a character that no text has"),
        ({"target_id": "", "labels": "a=1, a=2"}, "labels: a is named twice"),
        ({"subject": "recipe", "recipe": " "}, "Choose the file of a recipe"),
        ({"subject": "document"}, "Choose a file with a JSON object"),
        ({"subject": "recipe", "recipe": "[space"}, "recipe: not TOML"),
        ({"subject": "recipe", "recipe": "space = 1"}, "expected a [space] table"),
        ({"subject": "recipe", "recipe": "[space]\ndate = 2026-01-01"}, "spaces.0.date: "),
        ({"subject": "recipe", "recipe": "a = " + "[" * 100_000}, "recipe: not TOML"),
        ({"subject": "document", "document": '{"spaces": ' + "[" * 900 + "]" * 900 + "}"}, "sp"),
        ({"subject": "document", "document": "{"}, "JSON object: not JSON"),
        ({"subject": "document", "document": "[" * 100_000}, "JSON object: not JSON"),
        ({"subject": "document", "document": "{}"}, "JSON object: expected one of"),
        ({"subject": "document", "document": '{"rounds": 3}'}, "JSON object: expected one of"),
        ({"subject": "document", "document": '{"operators": 3}'}, "operators: "),
    ],
)
def test_what_makes_no_job_is_named(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(BadForm) as caught:
        request_of(filled(**fields))
    assert why in str(caught.value)
    assert "Value error" not in str(caught.value)


@pytest.mark.parametrize("labels", ["x" * 5_000, "X=" + "1" * 5_000])
def test_what_is_no_label_is_not_repeated_at_length(labels: str) -> None:
    with pytest.raises(BadForm) as caught:
        request_of(filled(target_id="", labels=labels))
    assert len(str(caught.value)) < 300
    assert "..." in str(caught.value)


def test_a_recipe_may_name_a_shipped_space_and_several_sizes() -> None:
    (space,) = request_of(filled(subject="recipe", recipe='space = "fbnet"')).spaces
    assert (space.kind, space.classes, len(space.blocks)) == ("fbnet", 1000, 22)
    spaces = request_of(filled(subject="recipe", recipe='space = "cifar"')).spaces
    assert [(one.input_size, one.width) for one in spaces] == [
        (size, width) for width in (0.35, 0.5, 0.75, 1.0) for size in (16, 20, 24)
    ]
    given = 'sizes = [32, 48]\n[space]\nbase = "cifar"\nwidths = [0.5]'
    sized = request_of(filled(subject="recipe", recipe=given)).spaces
    assert [(one.input_size, one.width) for one in sized] == [(32, 0.5), (48, 0.5)]


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        ('space = "fbnt"', "no space 'fbnt'; did you mean 'fbnet'?"),
        # A path would be one on the server.
        ('space = "/etc/hostname"', "no space '/etc/hostname'; expected one of: cifar"),
        ('[space]\nbase = "../x.toml"', "no space '../x.toml'"),
        ('sizes = 3\nspace = "fbnet"', "sizes and widths: expected lists"),
    ],
)
def test_a_space_that_a_form_cannot_name_is_refused(recipe: str, why: str) -> None:
    with pytest.raises(BadForm) as caught:
        request_of(filled(subject="recipe", recipe=recipe))
    assert why in str(caught.value)
