from pathlib import Path

import pytest
from typer.testing import CliRunner

from netspec.client import LatencyTable
from netspec.errors import UserError
from netspec.networks import mobilenet_v2
from netspec.operators import PRECISIONS
from netspec.spaces import PROXYLESS_STAGES
from search_client.cli import app
from search_client.data.augmentation import Augment
from search_client.latency.losses import LogRatio
from search_client.latency.prediction import predicted_ms
from search_client.recipe import (
    BadRecipe,
    Recipe,
    parse_ms,
    read_recipe,
    with_overrides,
)
from search_client.recipes import shipped_recipes
from search_client.runs.load import family_of, goal_of
from search_client.search.reachable import check_reachable
from search_client.search.search import check_loss, check_steps

EXAMPLES = Path(__file__).parents[3] / "examples"


def recipe(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_shipped_recipes_load() -> None:
    assert shipped_recipes() == ["cifar", "demo", "lpirc", "proxylessnas"]
    assert read_recipe("cifar").space.input_size == 32
    demo, paper = read_recipe("demo"), read_recipe("proxylessnas")
    assert (demo.space.input_size, demo.space.width, len(demo.space.blocks)) == (48, 0.5, 7)
    assert (demo.sizes, demo.input_size) == ((72, 80, 96), 96)
    assert demo.profiling.calibration_networks == 8
    # Source: ProxylessNAS' released training code.
    assert paper.space.stages == PROXYLESS_STAGES
    assert (paper.search.warmup_epochs, paper.search.joint_epochs) == (40, 120)
    assert paper.search.weight_steps_per_architecture_step == 5
    assert paper.search.latency_loss == LogRatio(alpha=0.2, beta=0.3)
    assert (paper.train.epochs, paper.train.learning_rate, paper.batch_size) == (300, 0.05, 256)
    assert (paper.train.rising_epochs, paper.train.decay_norms) == (0, False)
    assert (paper.train.dropout, paper.train.mixup, paper.train.average_decay) == (0, 0, 0)
    # The paper's networks, and all else as there.
    challenge = read_recipe("lpirc")
    own = ("space", "baselines")
    assert challenge.model_dump(exclude={*own}) == paper.model_dump(exclude={*own})
    assert challenge.space == paper.space.with_values(input_size=160)
    baselines = [(one.input_size, one.name) for one in challenge.every_baseline("float32")]
    assert [size for size, _ in baselines] == [160, 224]
    # Its "normal" colours in the search, its "strong" ones in the training.
    assert paper.search.augment == Augment(
        least_area=0.08, brightness=0.1255, contrast=0, saturation=0.5
    )
    assert paper.train.augment == Augment(
        least_area=0.08, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
    )


def test_the_example_can_be_searched_on_its_snapshot() -> None:
    settings = read_recipe(str(EXAMPLES / "desktop-96px.toml")).for_classes(10)
    table = LatencyTable.from_file(EXAMPLES / "desktop-96px.snapshot.json")
    reference_ms = predicted_ms(table, settings.baseline(settings.precision))
    goal, family = goal_of(settings, [table], [reference_ms]), family_of(settings)
    check_loss(goal, family, settings.search.latency_loss)
    check_reachable(family, goal, settings.search.tolerance)
    check_steps(settings.search, per_epoch=20)


def test_an_empty_recipe_has_every_default(tmp_path: Path) -> None:
    assert read_recipe(recipe(tmp_path, "")) == Recipe()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 1", ["colour: there is no such value"]),
        ("[search]\nepochs = 3", ["search.epochs: there is no such value; did you mean"]),
        (
            "batch_size = 0\n[profiling]\nround = 1",
            ["batch_size: expected greater", "profiling.round: there is no such value; did you "],
        ),
        ("[space]\ninput_size = 'big'", ["space.input_size: expected a whole number"]),
        ("[search]\nlatency_loss = { kind = 'mul' }", ["search.latency_loss", "'mul'"]),
        ("batch_size = ", ["is no TOML", "Invalid value"]),
    ],
)
def test_what_a_recipe_says_wrong_is_named(tmp_path: Path, text: str, says: list[str]) -> None:
    path = recipe(tmp_path, text)
    with pytest.raises(BadRecipe) as raised:
        read_recipe(path)
    assert path in str(raised.value)
    for part in says:
        assert part in str(raised.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00b\x00a", b"batch_size = 64 # \xe9"])
def test_a_file_that_is_no_text_is_no_recipe(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(BadRecipe, match="is no TOML"):
        read_recipe(str(path))


def test_an_unknown_name_lists_the_shipped_recipes(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"no recipe 'dmeo'.*did you mean 'demo'\?"):
        read_recipe("dmeo")
    with pytest.raises(BadRecipe, match="no such TOML file; expected one of: cifar"):
        read_recipe(str(tmp_path))


def test_a_run_takes_the_number_of_classes_from_its_data() -> None:
    settings = read_recipe("demo")
    changed = settings.for_classes(7)
    assert changed.space.classes == changed.baseline("int8").classes == 7
    assert changed.for_classes(settings.space.classes) == settings
    # What the space has worked out for its former classes must not stay.
    assert settings.space.fixed_end[1].out_channels == settings.space.classes
    assert changed.space.fixed_end[1].out_channels == 7


def test_the_baseline_is_mobilenet_v2_at_the_spaces_input_size() -> None:
    settings = read_recipe("demo").for_classes(10)
    assert settings.baseline("int8") == mobilenet_v2(48, 0.5, 10, "int8")


def test_a_run_needs_the_operators_of_space_and_baseline_in_both_precisions_once() -> None:
    settings = read_recipe("demo").for_classes(10)
    operators = settings.operators()
    assert len(set(operators)) == len(operators)
    for precision in PRECISIONS:
        wanted = {one for space in settings.spaces(precision) for one in space.operators()}
        wanted |= set(settings.baseline(precision).operators)
        assert wanted == {one for one in operators if one.precision == precision}


def test_a_search_alone_needs_its_own_precision_and_what_it_aims_at() -> None:
    settings = read_recipe("demo").for_classes(10)
    space = {operator for one in settings.spaces("int8") for operator in one.operators()}
    assert set(settings.searched_operators()) == space | set(settings.baseline("int8").operators)
    aimed = settings.model_copy(update={"latency_ref_ms": 1.0})
    assert set(aimed.searched_operators()) == space


def test_values_are_overridden_by_dotted_names(tmp_path: Path) -> None:
    path = recipe(tmp_path, "[search]\njoint_epochs = 9\nwarmup_epochs = 1")
    given = [
        "search.joint_epochs=3",
        "search.gradient=full_v2",
        "train.epochs = 7",
        "sizes=[64, 96]",
    ]
    settings = read_recipe(path, given)
    assert (settings.search.joint_epochs, settings.search.warmup_epochs) == (3, 1)
    assert (settings.search.gradient, settings.train.epochs) == ("full_v2", 7)
    assert settings.sizes == (64, 96)
    again = with_overrides(settings, ["search.latency_loss.kind=target"])
    assert again.search.latency_loss.kind == "target"
    assert again.search.joint_epochs == 3


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("search.epochs=3", r"search\.epochs: there is no such value"),
        ("search.joint_epochs=many", r"search\.joint_epochs: expected a whole number"),
        ("search", "expected a name and a value"),
        ("seed.more=3", "seed is a value and has no more"),
    ],
)
def test_overrides_that_cannot_be_are_named(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        read_recipe(recipe(tmp_path, "seed = 1"), [override])


@pytest.mark.parametrize("command", ["profile", "demo", "search --data photos"])
def test_commands_that_take_a_recipe_take_its_values(command: str, tmp_path: Path) -> None:
    run = [] if command == "profile" else ["--run", str(tmp_path)]
    given = [*command.split(), *run, "--set", "profiling.rounds=0", "--set", "train.epoch=3"]
    with pytest.raises(BadRecipe, match=r"profiling\.rounds: .*; train\.epoch: there is no"):
        CliRunner().invoke(app, given, catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("30ms", 30.0), ("0.03s", 30.0), ("30000us", 30.0), (" 2.5 MS ", 2.5), ("7", 7)],
)
def test_latencies_are_read_with_their_unit(text: str, ms: float) -> None:
    assert parse_ms(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["", "fast", "-3ms", "0ms", "inf", "3 min"])
def test_what_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected for instance 30ms"):
        parse_ms(text)


def test_operators_are_those_of_every_size_width_and_baseline() -> None:
    settings = Recipe(sizes=(64, 96), widths=(0.5, 1.0), baselines=((80, 0.75),))
    assert [(one.input_size, one.width) for one in settings.spaces("int8")] == [
        (64, 0.5),
        (96, 0.5),
        (64, 1.0),
        (96, 1.0),
    ]
    operators = set(settings.operators())
    for precision in PRECISIONS:
        for space in settings.spaces(precision):
            assert operators >= set(space.operators())
        assert operators >= set(mobilenet_v2(80, 0.75, 1000, precision).operators)
    # The first baseline has the input size of the space itself.
    assert settings.input_size == 224


def test_no_recipe_for_small_images_has_blocks_on_which_kernels_hardly_differ() -> None:
    for space in read_recipe("cifar").spaces("int8"):
        assert space.cramped_blocks() == 0
        assert space.fixed_end[0].input_size >= 4


def test_images_are_kept_for_the_largest_network_baselines_included() -> None:
    assert read_recipe("cifar").input_size == 48
    assert read_recipe("cifar", ["baselines=[]"]).input_size == 32
    assert read_recipe("cifar", ["baselines=[]", "sizes=[24, 40]"]).input_size == 40


def test_a_recipe_names_a_shipped_space_or_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text("input_size = 64\nkernels = [3]", encoding="utf-8")
    mine = read_recipe(recipe(tmp_path, 'space = "space.toml"'))
    assert (mine.space.input_size, mine.space.kernels) == (64, (3,))
    shipped = read_recipe(recipe(tmp_path, 'space = "fbnet"'), ["space.input_size=96"])
    assert (shipped.space.kind, shipped.space.input_size) == ("fbnet", 96)
    based = read_recipe(recipe(tmp_path, '[space]\nbase = "fbnet"\ninput_size = 96'))
    assert based == shipped
    replaced = with_overrides(read_recipe("demo"), ["space=mobilenetv4-uib", "space.width=0.5"])
    assert (replaced.space.kind, replaced.space.width) == ("mobilenetv4-uib", 0.5)
    assert replaced.batch_size == read_recipe("demo").batch_size


def test_a_search_chooses_among_the_sizes_and_widths_of_its_space(tmp_path: Path) -> None:
    named = read_recipe(recipe(tmp_path, 'space = "cifar"'))
    variants = [(one.input_size, one.width) for one in named.spaces("int8")]
    assert variants == [(size, width) for width in (0.35, 0.5, 0.75, 1.0) for size in (16, 20, 24)]
    own = read_recipe(recipe(tmp_path, 'space = "cifar"\nsizes = [28]\nwidths = [0.5]'))
    assert [(one.input_size, one.width) for one in own.spaces("int8")] == [(28, 0.5)]
    assert (named.input_size, own.input_size) == (32, 32)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'space = "fbnt"',
            "space: there is no space 'fbnt', and no such file; did you mean 'fbnet'?",
        ),
        ("[space]\nbase = 3", "space: base: expected the name of a space"),
        ("space = 3", "space: expected a valid dictionary"),
        (
            '[space]\nbase = "fbnet"\nkernel = [3]',
            "space.kernel: there is no such value; did you mean 'kernels'",
        ),
        (
            "[space]\nstages = [{ channels = 8, depth = 1, stride = 1, operator = {kind='pool'} }]",
            "space: stages.0.operator: pool has no expand, so that expands cannot be chosen among",
        ),
    ],
)
def test_what_is_wrong_with_a_recipes_space_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadRecipe) as raised:
        read_recipe(recipe(tmp_path, text))
    assert says in str(raised.value)
