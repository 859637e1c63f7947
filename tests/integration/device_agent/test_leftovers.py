"""An agent that was killed in the middle, and the one that starts after it."""

from pathlib import Path

import pytest

from device_agent.measuring.visit_label import keep_leftovers
from device_agent.phones.phone import Phone
from netspec.protocol import MeasurementProtocol
from netspec.wire import LeasedTask, NetworkSubject
from tests.integration.device_agent.phone_bench import NO_ANCHOR, PhoneBench, phone_bench
from tests.integration.device_agent.test_in_network import in_network, network
from tests.phones.agent_files import STRETCHES
from tests.phones.fake_phone import FakePhone

TASK = LeasedTask(
    task_id="a", subject=NetworkSubject(network=network()), visits=20, method="in_network"
)


class Killed(BaseException):
    """What SIGKILL does, as far as this process can be made to feel it."""


def killed_agent(phone: FakePhone, folder: Path, at: int) -> None:
    """An agent that dies while the phone makes its launch of this number."""
    with phone_bench(phone, folder) as bench:
        device = bench.agent.bench.device
        assert isinstance(device, Phone)
        device.learn_methods()
        bench.runner.launched.clear()

        def die(_seconds: float) -> None:
            if len(bench.runner.launched) >= at:
                raise Killed

        device._scripts._sleep = die
        in_network(bench, TASK)
        with pytest.raises(Killed):
            bench.run()
        assert bench.peer.visits == []
        assert bench.spool.waiting() == 0


def left(bench: PhoneBench) -> int:
    """Visits that the new agent finds."""
    return keep_leftovers(bench.agent.bench.device, bench.spool, NO_ANCHOR)


def test_the_next_agent_keeps_what_the_phone_measured(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    killed_agent(fake_phone, tmp_path, at=7)
    with phone_bench(fake_phone, tmp_path) as bench:
        kept = left(bench)
        assert 3 <= kept <= 20
        assert fake_phone.processes.pids() == []
        assert fake_phone.files.names(str(STRETCHES)) == []
        assert left(bench) == 0
        bench.run()  # uploads what is spooled
        assert len(bench.peer.visits) == kept
        for visit in bench.peer.visits:
            assert (visit.task_id, visit.subject_hash) == ("a", TASK.subject.content_hash)
            assert visit.target_id == bench.agent.bench.device.identity.id
            assert visit.statistics.p5_us == 500
            assert "gate open" in visit.before.steps
            assert visit.profile is not None
            assert visit.profile.operators_us == (100.0, 100.0, 25.0, 50.0)
        assert len({visit.round for visit in bench.peer.visits}) == kept


def test_visits_of_another_target_and_of_older_agents_are_removed(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    killed_agent(fake_phone, tmp_path, at=7)
    fake_phone.files.make_folder(f"{STRETCHES}/of-an-older-agent")
    other = MeasurementProtocol(**{**NO_ANCHOR.model_dump(), "min_runs": 11})
    with phone_bench(fake_phone, tmp_path, other) as bench:
        assert left(bench) == 0
        assert fake_phone.files.names(str(STRETCHES)) == []


def left_script(phone: FakePhone) -> bytearray:
    (content,) = (
        node.content
        for path, node in phone.files.nodes.items()
        if path.startswith(str(STRETCHES)) and path.endswith("script.sh")
    )
    assert content is not None
    return content


def test_notes_that_another_version_wrote_are_dropped(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    killed_agent(fake_phone, tmp_path, at=7)
    script = left_script(fake_phone)
    script[:] = script.replace(b"anchor_ratio", b"anchors_time")
    with phone_bench(fake_phone, tmp_path) as bench:
        assert left(bench) == 0
        assert fake_phone.files.names(str(STRETCHES)) == []


@pytest.mark.parametrize("known", [True, False])
def test_visits_for_another_server_go_to_its_spool_or_nowhere(
    fake_phone: FakePhone, tmp_path: Path, known: bool
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    killed_agent(fake_phone, first, at=7)
    if known:
        (first / "spool.db").rename(second / "other.db")
    script = left_script(fake_phone)
    script[:] = script.replace(b"spool.db", b"other.db")
    with phone_bench(fake_phone, second) as bench:
        assert (left(bench) >= 3) == known
        assert bench.spool.waiting() == 0
