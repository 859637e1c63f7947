"""One script on the phone makes a whole stretch of visits, and what it wrote.

While it runs, nothing is sent to the phone but the question how far it is. Between visits it only
uses what the shell has built in, since each program started warms the phone up.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from device_agent.transports.base import ShellResult
from device_agent.transports.read_files import parse_values, read_command, read_tables_command

#: another one after each restart of the phone
BOOT_ID = "/proc/sys/kernel/random/boot_id"
_TEMPLATE = """cd {folder} || exit 1
cat {boot_id} > boot 2>/dev/null
echo $$ > pid
number=0
for model in {models}; do
  if [ -e stop ]; then break; fi
  echo $number > progress
  echo "{mark} begin $number"
  {read_conditions}
  echo "{mark} run $number"
  {command} --graph={model_folder}/$model {flags} 2>&1
  code=$?
  echo
  echo "{mark} end $number $code"
  {read_conditions}
{asks}{profiles}  echo "{mark} done $number"
  number=$((number + 1))
done
echo "{mark} over"
echo over > over
{plan}"""
#: a second launch for the visits that are to be profiled, since profiling slows runs down
_PROFILES = """  for profiled in {indexes}; do
    if [ $profiled = $number ]; then
      echo "{mark} profile $number"
      {command} --graph={model_folder}/$model {flags} 2>&1
      code=$?
      echo
      echo "{mark} profiled $number $code"
    fi
  done
"""


@dataclass(frozen=True)
class ScriptedLaunch:
    """How every visit of a stretch is made."""

    #: where the script's files lie, and where the models do
    folder: str
    model_folder: str
    #: program and what pins it, for instance `("taskset", "80", "/data/.../benchmark_model")`
    command: tuple[str, ...]
    flags: tuple[str, ...]
    #: files read before and after each visit: their first line, or of tables all
    condition_files: tuple[str, ...]
    #: begins every line of the script's own; the runner cannot know it
    mark: str
    #: what a visit takes at least, s
    least_s: float = 0.0
    #: of the launch that profiles
    profile_flags: tuple[str, ...] = ()
    #: which visits of the stretch are profiled, too
    profiled: tuple[int, ...] = ()
    #: a comment that ends the script
    plan: str = ""
    #: command that is asked after each visit; empty: none
    asked: str = ""
    condition_tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhoneScript:
    """A script as it is run on the phone."""

    #: where its files lie
    folder: str
    text: str
    #: that it says how far it is by
    steps: int
    #: that it takes at least, s
    least_s: float = 0.0


@dataclass(frozen=True)
class ScriptVisit:
    """What the script wrote of one finished visit."""

    index: int
    #: first lines of the condition files
    before: Mapping[str, str]
    after: Mapping[str, str]
    launch: ShellResult
    #: of the launch that profiled, None where there was none
    profile: ShellResult | None = None
    #: what the command said that was asked after it
    answer: str = ""


def script_text(launch: ScriptedLaunch, models: Sequence[str]) -> str:
    """The script that visits the models in this order."""
    return _TEMPLATE.format(
        folder=shlex.quote(launch.folder),
        models=" ".join(map(shlex.quote, models)),
        read_conditions=_read_conditions(launch),
        boot_id=BOOT_ID,
        command=shlex.join(launch.command),
        model_folder=shlex.quote(launch.model_folder),
        flags=shlex.join(launch.flags),
        mark=launch.mark,
        asks=f'  echo "{launch.mark} asked $number"\n  {launch.asked}\n' if launch.asked else "",
        profiles=_profiles(launch) if launch.profiled else "",
        plan=launch.plan,
    )


def kill_command(folder: str) -> str:
    """Ends a script that runs, with its visit: they are a process group.

    One that is over is left alone, and so is whatever has its number since the phone restarted.
    """
    same_start = f'[ ! -e boot ] || [ "$(cat boot)" = "$(cat {BOOT_ID} 2>/dev/null)" ]'
    return (
        f"cd {shlex.quote(folder)} && [ -e pid ] && [ ! -e over ] && {{ {same_start}; }} && "
        'kill -9 "-$(cat pid)"'
    )


def finished_visits(text: str, mark: str) -> Iterator[ScriptVisit]:
    """The visits in what the script wrote, as far as it came; one in flight is left out."""
    for section in text.split(f"{mark} begin ")[1:]:
        head, began, tail = section.partition(f"\n{mark} run ")
        number, _, before = head.partition("\n")
        _, _, run = tail.partition("\n")
        output, ended, rest = run.partition(f"\n{mark} end {number} ")
        code, _, rest = rest.partition("\n")
        rest, done, _ = rest.partition(f"{mark} done {number}\n")
        rest, profiled, profile = rest.partition(f"{mark} profile {number}\n")
        after, _, answer = rest.partition(f"{mark} asked {number}\n")
        if began and ended and done:
            yield ScriptVisit(
                index=int(number),
                before=parse_values(before),
                after=parse_values(after),
                launch=ShellResult(int(code), output),
                profile=_result(profile, f"\n{mark} profiled {number} ") if profiled else None,
                answer=answer,
            )


def visit_in_flight(text: str, mark: str) -> tuple[int, dict[str, str]] | None:
    """Which visit had begun and not ended, and what was seen before it; None: none had."""
    _, _, section = text.rpartition(f"{mark} begin ")
    number, began, rest = section.partition("\n")
    if not began or f"{mark} done {number}\n" in rest:
        return None
    return int(number), parse_values(rest.partition(f"{mark} run ")[0])


def _result(text: str, end: str) -> ShellResult:
    output, _, rest = text.partition(end)
    return ShellResult(int(rest.partition("\n")[0]), output)


def _read_conditions(launch: ScriptedLaunch) -> str:
    tables = [read_tables_command(launch.condition_tables)] if launch.condition_tables else []
    return "; ".join([read_command(launch.condition_files), *tables])


def _profiles(launch: ScriptedLaunch) -> str:
    return _PROFILES.format(
        indexes=" ".join(map(str, launch.profiled)),
        mark=launch.mark,
        command=shlex.join(launch.command),
        model_folder=shlex.quote(launch.model_folder),
        flags=shlex.join(launch.profile_flags),
    )
