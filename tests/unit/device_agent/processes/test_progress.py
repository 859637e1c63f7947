import pytest
from structlog.testing import capture_logs

from device_agent.processes import progress
from device_agent.processes.progress import LogProgress
from tests.beats import beats_by_hand


def test_a_log_has_lines_at_the_begin_the_end_and_every_30_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beats = beats_by_hand(monkeypatch, progress)
    shown = LogProgress()
    with capture_logs() as lines, shown.stage("measuring", 3):
        shown.advance()
        beats[0]()
        shown.advance()
    assert [(line["state"], line["steps"], line["of"]) for line in lines] == [
        ("begins", 0, 3),
        ("goes on", 1, 3),
        ("ends", 2, 3),
    ]
    assert {line["event"] for line in lines} == {"measuring"}
