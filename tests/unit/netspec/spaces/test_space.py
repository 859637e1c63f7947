import itertools

import pytest

from netspec.errors import InvalidSpec
from netspec.operators import Classifier, HeadConv, MBConv, StemConv
from netspec.spaces import Block, Space, Stage


def mbconvs_of(block: Block) -> list[MBConv]:
    return [candidate for candidate in block.candidates if isinstance(candidate, MBConv)]


def test_proxylessnas_at_224_px() -> None:
    space = Space()
    assert space.fixed_start == (
        StemConv(input_size=224, in_channels=3, out_channels=32, stride=2),
        MBConv(input_size=112, in_channels=32, out_channels=16, expand=1),
    )
    assert space.fixed_end == (
        HeadConv(input_size=7, in_channels=320, out_channels=1280),
        Classifier(input_size=7, in_channels=1280, out_channels=1000),
    )
    assert len(space.blocks) == 21
    assert sum(block.skippable for block in space.blocks) == 15
    assert [block.candidates[0].out_channels for block in space.blocks] == (
        [24] * 4 + [40] * 4 + [80] * 4 + [96] * 4 + [192] * 4 + [320]
    )
    assert [block.candidates[0].output_size for block in space.blocks] == (
        [56] * 4 + [28] * 4 + [14] * 8 + [7] * 5
    )
    # The first block of each of the six stages changes its shape: it cannot be skipped.
    kept = [index for index, block in enumerate(space.blocks) if not block.skippable]
    assert kept == [0, 4, 8, 12, 16, 20]


def test_distinct_operators_at_224_px() -> None:
    operators = Space().operators()
    # 6 first blocks and 5 repeated shapes, 6 candidates each; stem, first block, head, classifier.
    assert len(operators) == (6 + 5) * 6 + 4 == 70
    assert len({operator.key for operator in operators}) == 70
    assert isinstance(operators[0], StemConv)
    assert isinstance(operators[-1], Classifier)


def test_candidates_run_over_expands_within_kernels() -> None:
    block = Space().blocks[1]
    choices = [(candidate.kernel, candidate.expand) for candidate in mbconvs_of(block)]
    assert choices == list(itertools.product((3, 5, 7), (3, 6)))
    assert all(candidate.residual for candidate in mbconvs_of(block))
    assert block.choices == 7
    assert Space().blocks[0].choices == 6
    assert not any(candidate.residual for candidate in mbconvs_of(Space().blocks[0]))


@pytest.mark.parametrize(
    ("width", "stem", "first", "stages", "head"),
    [
        (0.35, 16, 8, [8, 16, 32, 32, 64, 112], 1280),
        (0.5, 16, 8, [16, 24, 40, 48, 96, 160], 1280),
        (1.4, 48, 24, [32, 56, 112, 136, 272, 448], 1792),
    ],
)
def test_width_multiplies_channels(
    width: float, stem: int, first: int, stages: list[int], head: int
) -> None:
    space = Space(input_size=160, width=width)
    assert [operator.out_channels for operator in space.fixed_start] == [stem, first]
    widths = [space.blocks[index].candidates[0].out_channels for index in (0, 4, 8, 12, 16, 20)]
    assert widths == stages
    assert space.fixed_end[0].out_channels == head


def test_a_stage_that_keeps_its_shape_may_be_skipped_from_its_first_block() -> None:
    # At width 0.35 stages 3 and 4 are both 32 wide, and stage 4 has stride 1.
    space = Space(input_size=160, width=0.35)
    assert space.blocks[12].skippable
    assert all(candidate.residual for candidate in mbconvs_of(space.blocks[12]))


def test_first_block_adds_its_input_where_it_keeps_the_shape() -> None:
    assert Space(width=0.25).fixed_start[1] == MBConv(
        input_size=112, in_channels=8, out_channels=8, expand=1, residual=True
    )


@pytest.mark.parametrize("input_size", [32, 65, 97, 224])
def test_networks_chain_at_any_size(input_size: int) -> None:
    space = Space(input_size=input_size, width=0.5, classes=10)
    network = space.network([0] * 21)
    assert network.input_size == input_size
    assert network.classes == 10
    assert len(network.operators) == 25


SMALL = Space(
    input_size=32,
    width=0.5,
    classes=10,
    stages=(Stage(channels=24, depth=2, stride=2), Stage(channels=40, depth=2, stride=1)),
)


def test_choices_make_a_network() -> None:
    network = SMALL.network([1, 6, 5, 0])
    chosen = [
        SMALL.blocks[0].candidates[1],
        SMALL.blocks[2].candidates[5],
        SMALL.blocks[3].candidates[0],
    ]
    assert network.operators == (*SMALL.fixed_start, *chosen, *SMALL.fixed_end)
    assert network.name == "proxylessnas 32-0.5 1650"
    assert SMALL.network([1, 6, 5, 0], name="mine").name == "mine"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([0, 0, 0], "the space has 4 blocks, got 3 choices"),
        ([6, 0, 0, 0], "block 0 has 6 choices, got 6"),
        ([0, 7, 0, 0], "block 1 has 7 choices, got 7"),
        ([0, 0, 0, -1], "block 3 has 7 choices, got -1"),
    ],
)
def test_impossible_choices_are_refused(choices: list[int], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        SMALL.network(choices)


def test_precision_reaches_every_operator() -> None:
    int8 = SMALL.with_precision("int8")
    assert {operator.precision for operator in int8.operators()} == {"int8"}
    assert int8.operators() == tuple(
        operator.with_precision("int8") for operator in SMALL.operators()
    )


def test_json_form_round_trips() -> None:
    assert Space.model_validate_json(SMALL.model_dump_json()) == SMALL


def test_a_network_of_many_blocks_has_a_name_that_fits() -> None:
    stages = (Stage(channels=24, depth=16, stride=1),) * 16
    space = Space(input_size=32, stages=stages)
    assert len(space.network([0] * len(space.blocks)).name) == 200


def test_a_choice_is_one_character_of_the_name() -> None:
    space = Space(expands=(2, 3, 4, 6))
    assert max(block.choices for block in space.blocks) == 13
    names = {space.network([*first, *[0] * 19]).name for first in ((1, 11), (11, 1))}
    assert names == {f"proxylessnas 224-1 {first}{'0' * 19}" for first in ("1b", "b1")}


def test_a_stem_of_stride_1_keeps_the_size_and_the_head_may_be_narrower() -> None:
    space = Space(input_size=32, width=2.0, stem_stride=1, head_channels=640)
    assert space.fixed_start[0].output_size == 32
    assert space.fixed_end[0].out_channels == 1280
    assert Space(width=0.5, head_channels=640).fixed_end[0].out_channels == 640


def test_blocks_of_stride_1_on_maps_below_4_px_are_counted() -> None:
    stages = (Stage(channels=24, depth=3, stride=2), Stage(channels=40, depth=3, stride=2))
    # 8 px after the stem, 4 after the first stage, 2 after the second
    assert Space(input_size=16, stages=stages).cramped_blocks() == 2
    assert Space(input_size=16, stages=stages, stem_stride=1).cramped_blocks() == 0
