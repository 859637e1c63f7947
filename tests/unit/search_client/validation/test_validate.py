from __future__ import annotations

from pathlib import Path

import pytest

from netspec.errors import UserError
from netspec.spaces import Space, Stage
from netspec.wire import Calibration, CalibrationNetwork
from search_client.validation.plot import plot
from search_client.validation.validate import Validated, Validation, fresh_networks

SPACE = Space(
    input_size=32,
    width=0.25,
    classes=10,
    stages=(Stage(channels=24, depth=1, stride=2), Stage(channels=40, depth=1, stride=2)),
    kernels=(3,),
)
CALIBRATION = Calibration(
    precision="float32", scale=1.0, intercept_ms=0.0, networks=(), held_out=None
)


def row(predicted: float, measured: float, factor: float | None = 1.1) -> Validated:
    return Validated(
        name=f"net {predicted}",
        predicted_ms=predicted,
        low_ms=None if factor is None else predicted / factor,
        high_ms=None if factor is None else predicted * factor,
        measured_ms=measured,
    )


def test_errors_and_coverage_by_hand() -> None:
    rows = (row(1.0, 1.0), row(2.0, 2.5), row(4.4, 4.0), row(9.0, 9.6))
    found = Validation("0" * 64, CALIBRATION, rows)
    assert [one.error_percent for one in rows] == pytest.approx([0.0, -20.0, 10.0, -6.25])
    assert [one.is_inside for one in rows] == [True, False, True, True]
    assert found.coverage == 0.75
    assert found.error.mape_percent == pytest.approx(36.25 / 4)
    assert found.error.worst_network == "net 2.0"
    assert found.precision == "float32"
    without = Validation("0" * 64, CALIBRATION, (row(1.0, 1.0, None),))
    assert without.coverage is None


def test_networks_are_distinct_and_none_was_calibrated_on() -> None:
    # two blocks with two candidates each: four networks
    everything = fresh_networks(SPACE, CALIBRATION, 4, seed=0)
    assert len({network.content_hash for network in everything}) == 4
    used = CalibrationNetwork(
        name="used", subject_hash=everything[0].content_hash, sum_ms=1.0, measured_ms=1.0
    )
    calibrated = CALIBRATION.model_copy(update={"networks": (used,)})
    left = fresh_networks(SPACE, calibrated, 3, seed=0)
    assert {one.content_hash for one in left} == {one.content_hash for one in everything[1:]}
    with pytest.raises(UserError, match="at most 3 with --networks"):
        fresh_networks(SPACE, calibrated, 4, seed=0)


def test_a_plot_is_written_in_both_formats(tmp_path: Path) -> None:
    validations = [Validation("0" * 64, CALIBRATION, (row(1.0, 1.1), row(2.0, 2.1, None)))]
    plot(validations, tmp_path / "new" / "errors.svg")
    text = (tmp_path / "new" / "errors.svg").read_text()
    assert text.count("<svg") == 1
    plot(validations, tmp_path / "errors.png")
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="taken cannot be made"):
        plot(validations, tmp_path / "taken" / "errors.png")


@pytest.mark.parametrize(
    ("inside", "outside", "holds"),
    [(0, 1, True), (0, 2, False), (2, 2, True), (1, 2, False), (16, 4, True), (15, 5, False)],
)
def test_an_interval_fails_where_chance_does_not_explain_what_is_outside(
    inside: int, outside: int, holds: bool
) -> None:
    rows = (row(1.0, 1.0),) * inside + (row(1.0, 2.0),) * outside
    assert Validation("0" * 64, CALIBRATION, rows).interval_holds is holds


def test_without_interval_there_is_nothing_to_fail() -> None:
    assert Validation("0" * 64, CALIBRATION, (row(1.0, 9.0, None),) * 9).interval_holds
