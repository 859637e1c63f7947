"""The fake phone's shell against a real one: the same scripts print the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from device_agent.transports.base import Transport, Way
from tests.phones.fake_phone import FakePhone

SCRIPTS = [
    "echo a  b 'c  d' \"e  f\" g\\ h",
    'x=1; y="$x 2"; echo $y "$y" \'$y\' ${y} ${#y} ${z:-none} ${x:+set} $((x + 2 * 3))',
    "f=/data/a.tar.gz; echo ${f##*/} ${f%.*} ${f%%.*} ${f#*/} $(basename $f .gz) $(dirname $f)",
    "false; echo $?; true && echo yes || echo no; false && echo yes || echo no; ! false; echo $?",
    "(exit 3) || echo $?; (x=2; echo $x); echo ${x:-unset}; { echo a; echo b; } | wc -l",
    "for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done",
    "for i in a b; do for j in 1 2 3; do [ $j = 2 ] && continue 2; echo $i$j; done; done",
    "i=0; while [ $i -lt 5 ]; do i=$((i+1)); if [ $i -ge 4 ]; then break; fi; echo $i; done",
    "i=3; until [ $i -eq 0 ]; do echo $i; i=$((i-1)); done",
    "case file.tflite in *.tf) echo no ;; *.tflite|*.lite) echo yes ;; *) echo other ;; esac",
    "f() { echo \"$# $1 $*\"; shift; echo $1; return 4; }; f a 'b c'; echo $?",
    'set -- a \'b c\'; for one in "$@"; do echo "<$one>"; done; echo $#',
    "printf '%s=%d\\n' a 1 b 2; printf 'no newline'",
    "printf 'c 3\\na 1\\nb 2\\n' | sort | head -n 2 | cut -d ' ' -f 2 | tr '\\n' ,",
    "printf 'one 1\\ntwo 2\\n' | while read -r name value; do echo \"$value-$name\"; done",
    "printf 'x1\\ny2\\nx3\\n' | grep -c x; echo abc | grep -q z; echo $?; echo aXb | sed 's/X/-/'",
    "echo out; echo err >&2; (echo both; echo both >&2) 2>&1",
    'x=$(echo a; echo b); echo "$x"; echo $x; echo "$(exit 5)"; y=$(exit 6); echo $?',
    "trap 'echo bye' EXIT; echo hi; exit 2",
    "set -e; echo before; false; echo after",
    "set -e; if false; then echo no; fi; false || echo still; echo end",
    "eval 'x=5; echo $x'; x=1 sh -c 'echo $x'; sh -c 'echo $0 $1' zero one",
    "exec 2>&1; echo err >&2; echo out",
    "env x=1 y='2 3' sh -c 'echo $x $y'; echo ${x:-unset}",
    "[ -n '' ]; echo $?; [ abc = abc -a 2 -lt 10 ]; echo $?; [ ! -e /nothing ]; echo $?",
    "sleep 0 & wait $!; echo $?; (sleep 0; exit 7) & wait $!; echo $?",
    "echo a # a comment\necho b; echo '#c'\necho d \\\n e",
    'echo `echo old` "`echo style`"; unset nothing; echo ${nothing-}.',
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
    "cd /data/local/tmp; printf abc > f; sha256sum f; md5sum f; cp f g; [ -s g ]; echo $?; rm f g",
    "cd /data/local/tmp; printf 'echo ran $1\\n' > s; chmod 755 s; ./s x; sh s y; . ./s z",
    "cd /data/local/tmp; rm -rf d; mkdir d; rmdir d; echo $?; [ -d d ]; echo $?; echo no*match",
    "taskset 1 echo pinned; date +%s | wc -c; [ -x /system/bin/sh ]; echo $?; echo | wc -l",
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
