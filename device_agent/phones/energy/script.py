"""One script on the phone makes all windows, and reads the counter between them at its steps."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from device_agent.errors import VisitFailed
from device_agent.measuring.energy import Reading
from device_agent.phones.energy.counters import PhoneCounter
from device_agent.phones.script import BOOT_ID, PhoneScript
from device_agent.transports.base import ShellResult

#: between two looks at the counter, at least, s; and how many looks it is given to step
_LOOK_EVERY_S, _LOOKS = 0.01, 200
_UPTIME = "/proc/uptime"
_HEAD = """cd {folder} || exit 1
cat {boot_id} > boot 2>/dev/null
echo $$ > pid
"""
# After a step it is asked once more: its files are read one by one, and it may step in between.
_STEP = """echo {step} > progress
if [ -e stop ]; then echo over > over; exit 0; fi
{action}
was=$({ask})
now=$was
looks=0
while [ "$now" = "$was" ]; do
  if [ $looks -ge {most} ]; then break; fi
  read -r last rest < {uptime}
  sleep {every:g}
  now=$({ask})
  looks=$((looks + 1))
done
if [ "$now" != "$was" ]; then now=$({ask}); fi
read -r up rest < {uptime}
echo "{mark} reading {step} $looks $last $up"
echo "$now"
{beside}
echo "{mark} read {step}"
if [ "$now" = "$was" ]; then echo over > over; exit 0; fi
"""
_LAUNCH = """echo "{mark} run {step}"
{command} 2>&1
code=$?
echo
echo "{mark} end {step} $code\""""
_TAIL = "echo over > over\n"


@dataclass(frozen=True)
class EnergyScript:
    """Windows in a row: a number is seconds in which nothing runs, a text a command that runs."""

    folder: str
    mark: str
    source: PhoneCounter
    windows: Sequence[float | str]
    #: for which a step of the counter is waited, s
    patience_s: float

    def script(self) -> PhoneScript:
        """As it is run: a reading, then window and reading in turn."""
        steps = [self._step(0, ":")]
        for number, window in enumerate(self.windows, 1):
            if isinstance(window, str):
                action = _LAUNCH.format(mark=self.mark, step=number, command=window)
            else:
                action = f"sleep {window:g}"
            steps.append(self._step(number, action))
        head = _HEAD.format(folder=shlex.quote(self.folder), boot_id=BOOT_ID)
        idle_s = sum(one for one in self.windows if not isinstance(one, str))
        return PhoneScript(
            self.folder, head + "".join(steps) + _TAIL, len(self.windows), 2 * idle_s
        )

    def _step(self, number: int, action: str) -> str:
        return _STEP.format(
            step=number,
            action=action,
            ask=self.source.ask,
            beside=self.source.beside or ":",
            most=_LOOKS,
            every=max(_LOOK_EVERY_S, self.patience_s / _LOOKS),
            uptime=_UPTIME,
            mark=self.mark,
        )

    def readings(self, text: str) -> list[Reading]:
        """The readings in what it wrote, as far as it came.

        Raises:
            VisitFailed: the counter did not step in time, or said something else.
        """
        found = []
        for head, said in self._parts(text, "reading", "read"):
            looks, last, up = head.split()
            values = self.source.parse(said)
            if values is None:
                raise VisitFailed(f"the energy counter said {said.strip()[:200]!r}")
            if int(looks) >= _LOOKS:
                raise VisitFailed(
                    f"the counter of {self.source.counter.meter.name} is too coarse: it made no "
                    f"step within {self.patience_s:g} s; ask for longer windows"
                )
            found.append(Reading(float(up), values, float(up) - float(last)))
        return found

    def launches(self, text: str) -> list[ShellResult]:
        """What the launches said, in their order, as far as they came to an end."""
        found = []
        for section in text.split(f"{self.mark} run ")[1:]:
            number, _, run = section.partition("\n")
            output, ended, rest = run.partition(f"\n{self.mark} end {number} ")
            if ended:
                found.append(ShellResult(int(rest.partition("\n")[0]), output))
        return found

    def _parts(self, text: str, begin: str, end: str) -> Iterator[tuple[str, str]]:
        for section in text.split(f"{self.mark} {begin} ")[1:]:
            head, _, rest = section.partition("\n")
            number, _, numbers = head.partition(" ")
            said, ended, _ = rest.partition(f"{self.mark} {end} {number}\n")
            if ended:
                yield numbers, said
