"""A phone is kept awake for a batch, says so with its visits, and is given back as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from device_agent.phones.settings.awake import state_steps
from tests.integration.device_agent.phone_bench import phone_bench
from tests.phones.agent_files import AWAKE_JOURNAL
from tests.phones.fake_phone import FakePhone
from tests.phones.shell_io import Call

STAY_ON = ("global", "stay_on_while_plugged_in")
State = tuple[str, str | None, bool]


def state(phone: FakePhone) -> State:
    return phone.state.wakefulness, phone.state.settings.get(STAY_ON), phone.state.doze_enabled


def asleep(phone: FakePhone) -> None:
    phone.state.wakefulness = "Asleep"


def set_to_usb(phone: FakePhone) -> None:
    asleep(phone)
    phone.state.settings[STAY_ON] = "2"


def without_doze(phone: FakePhone) -> None:
    phone.state.doze_enabled = False


@pytest.mark.parametrize("begins", [asleep, set_to_usb, without_doze, lambda _: None])
def test_it_is_awake_for_every_visit_and_as_it_was_afterwards(
    fake_phone: FakePhone, tmp_path: Path, begins: Callable[[FakePhone], None]
) -> None:
    begins(fake_phone)
    before, seen = state(fake_phone), set[State]()
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.runner.before.append(lambda _: seen.add(state(fake_phone)))
        bench.lease({"a": 3})
        bench.run()
        assert bench.peer.outcomes() == {"a": "done"}
        steps = {visit.before.steps for visit in bench.peer.visits}
    assert seen == {("Awake", "15", False)}
    assert state(fake_phone) == before
    assert fake_phone.files.find(str(AWAKE_JOURNAL)) is None
    (told,) = steps
    assert {"phone awake", "doze active active", "airplane mode off"} <= set(told)


@pytest.mark.parametrize("begins", [asleep, set_to_usb])
def test_what_a_killed_agent_left_is_given_back_by_the_next(
    fake_phone: FakePhone, tmp_path: Path, begins: Callable[[FakePhone], None]
) -> None:
    begins(fake_phone)
    before = state(fake_phone)
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.agent.bench.device.prepare([])
        assert state(fake_phone) == ("Awake", "15", False)
        # The connection ends with the process, and nothing is given back.
    fake_phone.lose_power()
    fake_phone.power_on()
    fake_phone.state.doze_enabled = True
    with phone_bench(fake_phone, tmp_path):
        assert state(fake_phone) == before


def test_one_setting_that_is_refused_takes_back_the_others(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    async def no_key(call: Call) -> int:
        await call.err("Error: no input service\n")
        return 1

    fake_phone.programs["input"] = no_key
    asleep(fake_phone)
    before = state(fake_phone)
    with phone_bench(fake_phone, tmp_path) as bench, capture_logs() as said:
        bench.agent.bench.device.prepare([])
        assert state(fake_phone) == before
    assert [line for line in said if line["event"] == "phone not kept awake"]


def test_a_phone_without_androids_services_is_measured_as_it_is(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    for name in ("dumpsys", "settings", "input", "cmd"):
        del fake_phone.programs[name]
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.lease({"a": 1})
        bench.run()
        (visit,) = bench.peer.visits
        assert not any(
            step.startswith(("phone", "doze", "airplane")) for step in visit.before.steps
        )
    assert fake_phone.files.find(str(AWAKE_JOURNAL)) is None


def test_only_what_a_phone_says_is_told() -> None:
    assert state_steps("  mWakefulness=Dozing\n", "IDLE_PENDING\n", "OVERRIDE\n", "1\n") == (
        "phone dozing",
        "doze idle_pending override",
        "airplane mode on",
    )
    service = "Can't find service: deviceidle\n"
    assert state_steps("", service, service, "null\n") == ()
