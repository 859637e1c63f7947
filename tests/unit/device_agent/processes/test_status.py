import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from device_agent.errors import PortTaken
from device_agent.processes.status import StatusFile, read_statuses, served


def test_every_living_process_is_told_of(tmp_path: Path) -> None:
    one, two = StatusFile(tmp_path, "192.168.1.2:5555"), StatusFile(tmp_path, "host-x")
    one.count(rejected=True)
    one.count()
    one.count(failed=True)
    one.change(state="measuring", target="ab", waiting_visits=3)
    first, second = read_statuses(tmp_path)
    assert (first.visits, first.rejected, first.failed, first.waiting_visits) == (2, 1, 1, 3)
    assert (first.device, first.state, second.state) == (
        "192.168.1.2:5555",
        "measuring",
        "starting",
    )
    two.close()
    assert [status.device for status in read_statuses(tmp_path)] == ["192.168.1.2:5555"]


def test_a_dead_process_is_not_told_of(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; "
        "from device_agent.processes.status import StatusFile; "
        "StatusFile(Path(sys.argv[1]), 'gone')"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert len(list(tmp_path.glob("*.json"))) == 1
    assert read_statuses(tmp_path) == []


def test_metrics_are_prometheus_text(tmp_path: Path) -> None:
    made = StatusFile(tmp_path, 'a "b"\\')
    made.change(state="idle", target="t")
    with served(tmp_path, 0) as port:
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    assert "# TYPE device_agent_visits_total counter" in text
    assert 'device_agent_visits_total{device="a \\"b\\"\\\\",target="t"} 0.0\n' in text
    assert 'device_agent_state{device="a \\"b\\"\\\\",state="idle",target="t"} 1.0\n' in text
    assert 'device_agent_state{device="a \\"b\\"\\\\",state="measuring",target="t"} 0.0\n' in text


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [("/healthz", 200, "application/json"), ("/metrics", 200, "text/plain"), ("/x", 404, "text")],
)
def test_they_are_served_on_this_machine_alone(
    tmp_path: Path, path: str, status: int, kind: str
) -> None:
    StatusFile(tmp_path, "a")
    with served(tmp_path, 0) as port:
        answer = httpx2.get(f"http://127.0.0.1:{port}{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(kind)
    if path == "/healthz":
        assert json.loads(answer.text)["devices"][0]["device"] == "a"


def test_nothing_listens_unless_asked(tmp_path: Path) -> None:
    with served(tmp_path, None) as port:
        assert port is None


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with (
        served(tmp_path, 0) as port,
        pytest.raises(PortTaken, match="choose another --status-port, or 0"),
        served(tmp_path, port),
    ):
        raise AssertionError("two listen at one port")


def test_an_agent_of_another_version_is_told_of(tmp_path: Path) -> None:
    said = {"device": "a", "pid": os.getpid(), "changed_at": 1.0, "mood": "good"}
    (tmp_path / "a.json").write_text(json.dumps(said))
    (status,) = read_statuses(tmp_path)
    assert (status.device, status.state, status.changed_at) == ("a", "starting", 1.0)


def test_a_file_that_a_power_cut_left_empty_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    StatusFile(tmp_path, "b")
    assert [status.device for status in read_statuses(tmp_path)] == ["b"]
