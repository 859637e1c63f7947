"""A phone that neither sleeps nor dozes while it is measured; given back as it was.

Sources: Android's `KeyEvent`, `BatteryManager`, `Settings.Global` and `DeviceIdleController`.
"""

from __future__ import annotations

import structlog

from device_agent.phones.files import QUICK_S
from device_agent.phones.readings import parse_wakefulness
from device_agent.phones.settings.journal import Change, JournalledSettings
from device_agent.transports.base import Transport

_JOURNAL = "awake-journal"
AWAKE = "Awake"
SLEEP, WAKE_UP = "input keyevent 223", "input keyevent 224"
_STAY_ON = "stay_on_while_plugged_in"
#: fed by mains, USB, wireless or a dock
_WHILE_FED = "15"
_NEVER_SET = "null"
_NEXT = "@next"
#: of all that the service prints
_SLEEPS = "dumpsys power | grep -e mWakefulness="
_LOOK = f"; echo {_NEXT}; ".join(
    (
        _SLEEPS,
        f"settings get global {_STAY_ON}",
        "dumpsys deviceidle enabled",
    )
)
#: what tells how the phone was while it was measured
STATE_QUESTIONS = (
    _SLEEPS,
    "dumpsys deviceidle get deep",
    "dumpsys deviceidle get light",
    "settings get global airplane_mode_on",
)
_ON_OFF = {"0": "off", "1": "on"}

_log = structlog.get_logger()


class AwakePhone(JournalledSettings):
    """Wakes a phone, and keeps sleep and Doze away from it.

    A phone that sleeps stops its cores in the middle of a visit, and one that begins to doze runs
    what apps have waited for. Radios stay as they are: switched on again, they would bring all that
    waited into the next batch.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, _JOURNAL)

    def take(self) -> None:
        """Change what keeps the phone from staying awake, all of it or nothing.

        What a phone does not tell, as one without Android's services, stays as it is.
        """
        wakefulness, stays_on, doze = self._look()
        changes = []
        if wakefulness not in (None, AWAKE):
            changes.append(Change(WAKE_UP, SLEEP))
        if stays_on.isdecimal() or stays_on == _NEVER_SET:
            before = f"put global {_STAY_ON} {stays_on}"
            undo = f"delete global {_STAY_ON}" if stays_on == _NEVER_SET else before
            changes.append(
                Change(f"settings put global {_STAY_ON} {_WHILE_FED}", f"settings {undo}")
            )
        if doze == "1":
            changes.append(Change("dumpsys deviceidle disable", "dumpsys deviceidle enable"))
        if changes and not self.apply(changes):
            _log.warning("phone not kept awake", device=self._transport.serial)

    def wakefulness(self) -> str | None:
        """Its word for whether it sleeps, None where it does not say."""
        return self._look()[0]

    def _look(self) -> tuple[str | None, str, str]:
        said = self._transport.shell(_LOOK, timeout_s=QUICK_S).output.split(f"{_NEXT}\n")
        power, stays_on, doze = [*said, "", "", ""][:3]
        return parse_wakefulness(power), stays_on.strip(), doze.strip()


def state_steps(power: str, deep: str, light: str, airplane: str) -> tuple[str, ...]:
    """How the phone is, for the conditions of visits, from the answers to `STATE_QUESTIONS`."""
    screen, states = parse_wakefulness(power), f"{deep.strip()} {light.strip()}".lower()
    radios = _ON_OFF.get(airplane.strip())
    return (
        *((f"phone {screen.lower()}",) if screen else ()),
        *((f"doze {states}",) if states.replace("_", "").replace(" ", "").isalpha() else ()),
        *((f"airplane mode {radios}",) if radios else ()),
    )
