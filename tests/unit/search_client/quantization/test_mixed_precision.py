import pytest

from netspec.errors import InvalidSpec, MissingEntries
from netspec.networks import Network, mobilenet_v2
from netspec.operators import Convert, MBConv, Operator
from search_client.quantization.mixed_precision import (
    conversions_of,
    fastest_mix,
    with_float_blocks,
)
from search_client.quantization.report import NetworkGain, SpaceGain, quantization_report
from tests.unit.search_client.tables import calibration, snapshot
from tests.unit.search_client.tiny import tiny_space

NETWORK = mobilenet_v2(32, 0.35, 10)
#: the first five operators that are blocks are 1 to 5
SLOW = (3, 4)


def table(crossing_ms: float, slow_ms: float = 5.0, network: Network = NETWORK) -> dict[str, float]:
    """1 ms an operator in int8, 2 in float32; `SLOW` ones take longer in int8."""
    values: dict[str, float] = {}
    for index, operator in enumerate(network.with_precision("int8").operators):
        values[operator.key] = slow_ms if index in SLOW else 1.0
        values[operator.with_precision("float32").key] = 2.0
    return values | {one.key: crossing_ms for one in conversions_of(network)}


def test_neighbours_in_float_share_their_conversions() -> None:
    mixed = with_float_blocks(NETWORK, [3, 4, 7])
    kinds = [one.kind for one in mixed.operators]
    assert kinds.count("convert") == 4
    converts = [one for one in mixed.operators if isinstance(one, Convert)]
    assert [one.precision for one in converts] == ["float32", "int8", "float32", "int8"]
    plain = [one for one in mixed.operators if not isinstance(one, Convert)]
    floats = [i for i, one in enumerate(plain) if one.precision == "float32"]
    assert floats == [3, 4, 7]
    assert mixed.with_precision("float32").operators == NETWORK.operators


def test_only_blocks_can_stay_float() -> None:
    with pytest.raises(InvalidSpec, match=r"operators \[0\] .* are no blocks; those from 1 to 17"):
        with_float_blocks(NETWORK, [0, 3])
    with pytest.raises(InvalidSpec, match="has no blocks"):
        with_float_blocks(Network(name="stem", operators=NETWORK.operators[:1]), [0])


@pytest.mark.parametrize(
    ("crossing_ms", "blocks", "mixed_ms"),
    [
        # 3 ms saved on each of two blocks, two conversions
        (1.0, SLOW, 28 - 6 + 2 * 1.0),
        # conversions eat up what is saved
        (3.5, (), 28.0),
    ],
)
def test_the_fastest_mix_pays_for_its_conversions(
    crossing_ms: float, blocks: tuple[int, ...], mixed_ms: float
) -> None:
    choice = fastest_mix(NETWORK, table(crossing_ms))
    assert len(NETWORK.operators) == 20
    assert choice.int8_ms == 18 + 2 * 5
    assert choice.blocks == blocks
    assert choice.mixed_ms == pytest.approx(mixed_ms)
    sums = table(crossing_ms)
    assert sum(sums[one.key] for one in choice.network.operators) == pytest.approx(mixed_ms)


def test_a_border_without_an_entry_is_not_crossed() -> None:
    values = {key: ms for key, ms in table(0.1).items() if not key.startswith("convert")}
    assert fastest_mix(NETWORK, values).blocks == ()


def report_operators() -> dict[Operator, float]:
    """float32 2 ms, int8 1 ms; 7x7 in int8 6 ms."""
    space = tiny_space()
    return {
        operator: (6.0 if isinstance(operator, MBConv) and operator.kernel == 7 else 1.0)
        if precision == "int8"
        else 2.0
        for precision in ("float32", "int8")
        for operator in space.with_precision(precision).operators()
    }


def test_the_report_names_what_is_slower_and_what_the_search_would_gain() -> None:
    space = tiny_space()
    made = quantization_report(snapshot(report_operators(), [calibration("int8", 2.0)]), space, [])
    assert {row.ratio for row in made.slower} == {3.0}
    assert all("kernel:7" in row.key for row in made.slower)
    assert [(k.kernel, k.slower, k.operators, k.ratio) for k in made.kernels] == [
        (3, 0, 5, 0.5),
        (5, 0, 4, 0.5),
        (7, 4, 4, 3.0),
    ]
    assert made.space is not None
    # 4 fixed operators; blocks of (4 * 1 + 2 * 6) / 6, and the same over 7 with Zero
    assert made.space.mean_ms == pytest.approx(2 * (4 + 16 / 6 + 16 / 7))
    assert made.space.mean_without_slower_ms == pytest.approx(2 * (4 + 1 + 4 / 5))
    assert (made.space.slower, made.space.candidates) == (4, 12)
    assert made.space.verdict == (
        "Avoiding the 4 of 12 candidates that are slower in int8 pays: 35.2 % less"
    )


@pytest.mark.parametrize(
    ("slower", "without_ms", "verdict"),
    [
        (0, 2.0, "there is nothing to avoid"),
        (1, 1.99, "slower in int8 does not pay: 0.5 % less"),
        (1, 1.9, "slower in int8 pays: 5.0 % less"),
    ],
)
def test_the_report_says_plainly_whether_avoiding_them_pays(
    slower: int, without_ms: float, verdict: str
) -> None:
    gain = SpaceGain(mean_ms=2, mean_without_slower_ms=without_ms, slower=slower, candidates=6)
    assert verdict in gain.verdict


@pytest.mark.parametrize(
    ("blocks", "mixed_ms", "verdict"),
    [
        ((), 2.0, "does not pay"),
        ((3,), 1.995, "does not pay"),
        ((3, 7), 1.5, "3,7 of net in float32 pays: 25.0 % less"),
    ],
)
def test_the_report_says_plainly_whether_mixing_precisions_pays(
    blocks: tuple[int, ...], mixed_ms: float, verdict: str
) -> None:
    gain = NetworkGain(name="net", int8_ms=2, mixed_ms=mixed_ms, float_blocks=blocks, missing=())
    assert verdict in gain.verdict


def test_of_an_even_number_of_operators_the_ratio_is_the_middle_ones_mean() -> None:
    blocks = [
        MBConv(input_size=8, in_channels=8, out_channels=8, kernel=5, expand=expand)
        for expand in (3, 6)
    ]
    values_ms: dict[Operator, float] = dict.fromkeys(blocks, 2.0)
    values_ms |= {
        block.with_precision("int8"): ms for block, ms in zip(blocks, (1.0, 3.0), strict=True)
    }
    (kernel,) = quantization_report(snapshot(values_ms)).kernels
    assert (kernel.operators, kernel.slower, kernel.ratio) == (2, 1, 1.0)


def test_a_networks_gain_names_the_conversions_that_are_not_measured() -> None:
    space = tiny_space()
    network = space.network([4, 4])
    made = quantization_report(snapshot(report_operators()), None, [network])
    (gain,) = made.networks
    assert gain.float_blocks == ()
    assert set(gain.missing) == {one.key for one in conversions_of(network)}
    with pytest.raises(MissingEntries):
        quantization_report(snapshot(report_operators()), None, [NETWORK])
