import pytest

from netspec.costs import Footprint, footprint, macs, parameters
from netspec.networks import mobilenet_v2
from netspec.operators import Classifier, MBConv, Precision, StemConv


def test_each_layer_is_counted_at_the_size_of_its_output() -> None:
    block = MBConv(input_size=9, in_channels=4, out_channels=6, kernel=3, expand=2, stride=2)
    expand, depthwise, project = 81 * 4 * 8, 25 * 8 * 9, 25 * 8 * 6
    assert macs(block) == expand + depthwise + project
    assert parameters([block]) == (4 * 8 + 8) + (9 * 8 + 8) + (8 * 6 + 6)
    stem = StemConv(input_size=9, in_channels=3, out_channels=4, stride=2)
    assert macs(stem) == 25 * 27 * 4
    assert macs(Classifier(input_size=4, in_channels=5, out_channels=7)) == 35


def test_mobilenet_v2_has_what_its_paper_says() -> None:
    # Source: MobileNetV2, table 4: 300 million multiply-adds and 3.4 million parameters.
    network = mobilenet_v2()
    assert round(sum(map(macs, network.operators)) / 1e6) == 301
    assert 3.4e6 < parameters(network.operators) < 3.5e6


@pytest.mark.parametrize(("precision", "value_bytes"), [("float32", 4), ("int8", 1)])
def test_a_chain_holds_all_weights_and_its_largest_maps(
    precision: Precision, value_bytes: int
) -> None:
    stem = StemConv(input_size=9, in_channels=3, out_channels=4, stride=2, precision=precision)
    head = Classifier(input_size=5, in_channels=4, out_channels=7, precision=precision)
    # The stem reads 9 x 9 x 3 and gives 5 x 5 x 4, which is more than the classifier's layers do.
    assert footprint([stem, head]) == Footprint(
        weight_bytes=value_bytes * (27 * 4 + 4 * 7), map_bytes=value_bytes * (81 * 3 + 25 * 4)
    )
    assert footprint([]) == Footprint(0, 0)
