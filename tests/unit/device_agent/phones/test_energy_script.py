"""The script that reads counters of energy, in a real shell."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from device_agent.phones.energy.counters import odpm_counter
from device_agent.phones.energy.script import EnergyScript

#: says at each look what a file named by the look's number says, or else the last one
_COUNTER = """look=$(($(cat looks) + 1))
echo $look > looks
while [ ! -e said.$look ]; do look=$((look - 1)); done
cat said.$look
"""
_BEFORE = "CH0[A], 10\nCH0[B], 20\n"
_TORN = "CH0[A], 15\nCH0[B], 20\n"
_AFTER = "CH0[A], 15\nCH0[B], 25\n"


def test_a_step_between_the_reads_of_two_files_is_read_whole(tmp_path: Path) -> None:
    said = {1: _BEFORE, 3: _TORN, 4: _AFTER}
    for look, text in said.items():
        (tmp_path / f"said.{look}").write_text(text)
    (tmp_path / "looks").write_text("0")
    (tmp_path / "counter").write_text(_COUNTER)
    source = odpm_counter(("A", "B"))
    script = EnergyScript(
        str(tmp_path), "@energy", replace(source, ask="sh ./counter"), (), patience_s=2.0
    )
    ran = subprocess.run(
        ["sh", "-c", script.script().text], capture_output=True, text=True, check=True
    )
    (reading,) = script.readings(ran.stdout)
    assert reading.values == [15.0, 25.0]
