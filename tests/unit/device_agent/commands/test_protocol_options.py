from pathlib import Path

import pytest

from device_agent.commands.phone_options import PhoneOptions
from device_agent.commands.protocol_options import ProtocolOptions
from device_agent.measuring.energy import EnergyChoice
from netspec.errors import UserError
from netspec.protocol import PHONE, MeasurementProtocol


def test_without_options_it_is_the_default() -> None:
    assert ProtocolOptions().chosen(PHONE) == PHONE
    assert ProtocolOptions().arguments() == []


def test_single_numbers_go_over_the_file_and_the_default(tmp_path: Path) -> None:
    file = tmp_path / "protocol.json"
    file.write_text(MeasurementProtocol(measure_ms=7, max_runs=20).model_dump_json())
    chosen = ProtocolOptions(file, runs=50, warmup_ms=0.0).chosen(PHONE)
    expected = MeasurementProtocol(measure_ms=7, min_runs=50, max_runs=50, warmup_ms=0.0)
    assert chosen == expected
    assert chosen.content_hash != PHONE.content_hash
    assert ProtocolOptions(runs=12).chosen(PHONE) == PHONE.model_copy(update={"min_runs": 12})


def test_the_steady_state_is_a_protocol_of_its_own() -> None:
    chosen = ProtocolOptions(runs=50, steady=10.0).chosen(PHONE)
    assert chosen.warming is not None
    assert (chosen.warming.minutes, chosen.min_runs, chosen.measure_ms) == (10.0, 50, 1000.0)
    assert (chosen.anchor, chosen.cool_down.times, chosen.cool_down.then) == (None, 0, "hand_back")
    assert chosen.content_hash != PHONE.content_hash
    assert ProtocolOptions(steady=10.0).arguments() == ["--steady", "10.0"]


def test_the_process_of_a_phone_gets_the_same_options(tmp_path: Path) -> None:
    given = ProtocolOptions(tmp_path / "p.json", runs=50, warmup_ms=2.5).arguments()
    file = str(tmp_path / "p.json")
    assert given == ["--protocol", file, "--runs", "50", "--warmup-ms", "2.5"]
    phones = PhoneOptions(
        ["all"], None, tmp_path / "bm", "1.2", [tmp_path / "a.so"], None, "gpu", 4
    )
    assert phones.only is None
    assert phones.arguments() == [
        *("--runner-version", "1.2", "--delegate", "gpu", "--threads", "4"),
        *("--runner", str(tmp_path / "bm"), "--library", str(tmp_path / "a.so")),
    ]
    rails = EnergyChoice("odpm", ("S2M_VDD_CPUCL2", "S1M_VDD_MIF"))
    counting = PhoneOptions(["S1"], None, None, "", (), None, "gpu", 4, energy=rails)
    assert counting.arguments()[-6:] == [
        *("--energy", "odpm"),
        *("--energy-rail", "S2M_VDD_CPUCL2", "--energy-rail", "S1M_VDD_MIF"),
    ]
    assert PhoneOptions(["S1"], None, None, "", (), None, "gpu", 4).only == "S1"


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), ("{", "no measurement protocol"), ('{"runs": 5}', ": runs: ")],
)
def test_a_file_that_is_no_protocol_is_one_line(
    tmp_path: Path, content: str | None, says: str
) -> None:
    file = tmp_path / "protocol.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=says) as raised:
        ProtocolOptions(file).chosen(PHONE)
    assert "\n" not in str(raised.value)
