import pytest

from netspec.client import LatencyTable, NoCalibration
from netspec.errors import MissingEntries
from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, StemConv
from netspec.wire import CalibrationNetwork, family_shares
from tests.unit.search_client.tables import IDENTITY, calibration, snapshot

STEM = StemConv(input_size=16, in_channels=3, out_channels=8, stride=2)
HEAD = HeadConv(input_size=8, in_channels=8, out_channels=16)
LAST = Classifier(input_size=8, in_channels=16, out_channels=10)
NETWORK = Network(name="three", operators=(STEM, HEAD, LAST))

TABLE = LatencyTable(
    snapshot(
        {STEM: 0.5, HEAD: 0.25, LAST: 0.125, STEM.with_precision("int8"): 0.2},
        [calibration("float32", 1.2, 0.05)],
    )
)


def test_values_come_in_the_order_asked_for_as_often_as_asked_for() -> None:
    assert TABLE.values_ms([LAST, STEM, LAST]) == (0.125, 0.5, 0.125)


def test_a_prediction_is_the_calibrated_sum() -> None:
    assert TABLE.predict_ms(NETWORK) == pytest.approx(1.2 * 0.875 + 0.05)


def test_every_missing_operator_is_named_and_none_is_guessed() -> None:
    network = NETWORK.with_precision("int8")
    with pytest.raises(MissingEntries) as raised:
        TABLE.values_ms(network.operators)
    missing = sorted(operator.key for operator in network.operators[1:])
    assert list(raised.value.keys) == missing
    for key in missing:
        assert key in str(raised.value)
    assert IDENTITY.id in str(raised.value)
    assert "search-client profile" in str(raised.value)


def test_what_a_table_holds_back_is_said() -> None:
    held_back = snapshot({LAST: 0.1}, []).model_copy(update={"held_back": (STEM.key,)})
    with pytest.raises(MissingEntries, match=r"lacks 1 operators.*devices disagree") as raised:
        LatencyTable(held_back).values_ms([STEM, HEAD])
    assert raised.value.held_back == (STEM.key,)


def test_without_a_calibration_nothing_is_predicted() -> None:
    with pytest.raises(NoCalibration, match=r"no int8 calibration.*`search-client profile`"):
        TABLE.predict_ms(NETWORK.with_precision("int8"))
    with pytest.raises(NoCalibration):
        LatencyTable(snapshot({STEM: 1.0})).calibration("float32")


def test_it_says_in_what_a_network_is_unlike_those_calibrated_on() -> None:
    seen = CalibrationNetwork(
        name="seen", subject_hash="ab" * 32, sum_ms=0.875, measured_ms=1.0, held_out_ms=None
    )
    shares = family_shares(NETWORK.operators, TABLE.values_ms(NETWORK.operators))
    assert shares == pytest.approx({"stem": 4 / 7, "head": 2 / 7, "classifier": 1 / 7})
    known = calibration("float32", 1.0).model_copy(update={"networks": (seen,)})
    table = LatencyTable(TABLE.snapshot.model_copy(update={"calibrations": (known,)}))
    two = Network(name="two", operators=(HEAD, LAST))
    # Snapshots of before tell the sums alone.
    (size,) = table.unlike(two)
    assert size == (
        "its operators add up to 375 us, those of the networks calibrated on to 875 us to 875 us"
    )
    assert table.unlike(NETWORK) == ()
    telling = known.model_copy(update={"greatest_shares": shares})
    table = LatencyTable(TABLE.snapshot.model_copy(update={"calibrations": (telling,)}))
    assert table.unlike(NETWORK) == ()
    mix = "67% in head (there at most 29%), 33% in classifier (there at most 14%)"
    assert table.unlike(two) == (size, f"its sum is made of other operators: {mix}")
    with pytest.raises(NoCalibration):
        table.unlike(NETWORK.with_precision("int8"))


def test_operators_are_priced_as_the_calibration_corrects_them() -> None:
    first, *_, last = NETWORK.operators
    corrected = calibration("float32", 1.1).model_copy(
        update={"model": "ridge", "factors": {first.key: 1.5, last.key: 0.5}}
    )
    plain_ms = TABLE.values_ms(NETWORK.operators)
    table = LatencyTable(snapshot(dict(zip(NETWORK.operators, plain_ms, strict=True)), [corrected]))
    values_ms = table.values_ms(NETWORK.operators)
    assert values_ms[0] == pytest.approx(1.5 * plain_ms[0])
    assert values_ms[1:-1] == plain_ms[1:-1]
    assert values_ms[-1] == pytest.approx(0.5 * plain_ms[-1])
    assert table.predict_ms(NETWORK) == pytest.approx(1.1 * sum(values_ms))
    # the entries themselves stay what was measured
    assert {one.value_ms for one in table.snapshot.entries} == set(plain_ms)
