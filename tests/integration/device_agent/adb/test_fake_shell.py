"""The fake phone's shell against a real one: the same scripts print the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from device_agent.transports.base import Transport, Way
from tests.phones.fake_phone import FakePhone

SCRIPTS = [
    "echo a  b 'c  d' \"e  f\" g\\ h",
    'x=1; y="$x 2"; echo $y "$y" \'$y\' ${y} $((x + 2 * 3 - 1)).$nothing.',
    "false; echo $?; true && echo yes || echo no; false && echo yes || echo no",
    "(exit 3) || echo $?; (x=2; echo $x); echo $x; { echo a; echo b; } | wc -l",
    "for i in 1 2 3; do [ $i = 2 ] && break; echo $i; done; for i in 'a b' c; do echo $i; done",
    "i=0; while [ $i -lt 5 ]; do i=$((i+1)); if [ $i -ge 4 ]; then break; fi; echo $i; done",
    "printf '%s=%d\\n' a 1 b 2; printf 'no newline'",
    "printf 'one 1\\ntwo 2\\n' | while read -r name value; do echo \"$value-$name\"; done",
    "printf 'a\\nb' | tr '\\n' ,; value=; read -r value < /nothing; echo $value.",
    "echo out; echo err >&2; (echo both; echo both >&2) 2>&1",
    'x=$(echo a; echo b); echo "$x"; echo $x; echo "$(exit 5)"; y=$(exit 6); echo $?',
    'left=; { false; } || left=1; { true; } || left=2; [ -z "$left" ] && echo all; echo $left',
    "x=1 sh -c 'echo $x'; sh -c 'echo inside; exit 4'; echo $?",
    "exec 2>&1; echo err >&2; echo out",
    "env x=1 y='2 3' sh -c 'echo $x $y'; echo $x.",
    "[ -n '' ]; echo $?; [ abc = abc -a 2 -lt 10 ]; echo $?; [ ! -e /nothing ]; echo $?",
    "echo a # a comment\necho b; echo '#c'\necho d \\\n e",
    'echo `echo old` "`echo style`"',
    "if [ 1 = 2 ]; then echo a; elif [ 1 = 1 ]; then echo b; else echo c; fi",
    "echo 'syntax",
    "if true; then echo a",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_end_and_print_as_in_a_real_shell(
    script: str, fake_phone: FakePhone, connect: Callable[[str, Way], Transport]
) -> None:
    real = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    said = connect(fake_phone.address, "tcp").shell(script, timeout_s=5)
    assert (said.exit_code, said.output) == (real.returncode, real.stdout)
    assert bool(said.errors) == bool(real.stderr)


FILES = [
    "cd /data/local/tmp; echo 1 > a; echo 2 >> a; cat a; cat < a | wc -l; echo x > a; cat a",
    "cd /data/local/tmp; mkdir -p d/e; touch d/b d/a; ls d; echo d/*; mv d/a d/e/; ls d/e; rm -r d",
    "cd /data/local/tmp; echo abc > f; stat -c '%s %n' f; chmod 644 f; stat -c %a f; wc -c < f",
    "cd /data/local/tmp; cat nothing; echo $?; rm nothing; echo $?; rm -f nothing; echo $?",
    "cd /data/local/tmp; printf abc > f; [ -s f ]; echo $?; touch g; [ -s g ]; echo $?; rm f g",
    "cd /data/local/tmp; printf 'echo ran\\n' > s; chmod 755 s; ./s; sh s",
    "cd /data/local/tmp; rm -rf d; mkdir d; rmdir d; echo $?; [ -d d ]; echo $?; echo no*match",
    "taskset 1 echo pinned; [ -x /system/bin/sh ]; echo $?; echo | wc -l",
]


@pytest.mark.parametrize("script", FILES)
def test_files_are_as_on_a_real_phone(
    script: str,
    fake_phone: FakePhone,
    connect: Callable[[str, Way], Transport],
    request: pytest.FixtureRequest,
) -> None:
    real = connect(request.getfixturevalue("adbd_phone").address, "tcp")
    fake = connect(fake_phone.address, "tcp")
    expected, said = real.shell(script, timeout_s=10), fake.shell(script, timeout_s=10)
    assert (said.exit_code, said.output) == (expected.exit_code, expected.output)
    assert bool(said.errors) == bool(expected.errors)
