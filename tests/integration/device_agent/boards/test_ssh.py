"""What the agent asks of a transport, of a real SSH server, and each thing that goes wrong."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath

import pytest

from device_agent.errors import (
    DeviceFull,
    DeviceNotReady,
    FileRefused,
    NoSuchDevice,
    TransportLost,
)
from device_agent.transports import ssh, transport_to
from device_agent.transports.base import ShellResult
from device_agent.transports.ssh import SshTransport, ssh_address
from tests.boards.sshd import USER, Board
from tests.phones.ports import free_port
from tests.waiting import wait_for

MIB = 2**20


@contextmanager
def connected(serial: str) -> Iterator[SshTransport]:
    with closing(SshTransport(serial)) as made:
        made.reconnect()
        yield made


@pytest.fixture
def files(transport: SshTransport) -> PurePosixPath:
    """A folder of the board's."""
    return transport.folder / "files"


def test_commands_say_how_they_ended(transport: SshTransport) -> None:
    said = transport.shell("echo out; echo err >&2; exit 7", timeout_s=5)
    assert said == ShellResult(7, "out\n", "err\n")
    assert transport.shell("(exit 255)", timeout_s=5).exit_code == 255
    assert transport.shell("true # a comment", timeout_s=5) == ShellResult(0, "", "")
    assert transport.shell("nosuchprogram", timeout_s=5).exit_code == 127
    assert transport.shell("kill -SEGV $$", timeout_s=5).exit_code == 139
    assert transport.shell("cat", timeout_s=5) == ShellResult(0, "", "")


def test_merged_streams_keep_their_order(transport: SshTransport) -> None:
    said = transport.shell("echo 1; echo 2 >&2; echo 3; exit 4", timeout_s=5, merged=True)
    assert said == ShellResult(4, "1\n2\n3\n", "")


def test_files_come_back_as_they_went(transport: SshTransport, files: PurePosixPath) -> None:
    content = bytes(range(256)) * (8 * MIB // 256)
    path = files / "it's a; file"
    transport.push(content, path, mode=0o755, timeout_s=30)
    assert transport.pull(path, timeout_s=30) == content
    assert transport.shell(f"stat -c %a {files}/it*", timeout_s=5).output == "755\n"
    transport.push(b"", path, mode=0o600, timeout_s=5)
    assert transport.pull(path, timeout_s=5) == b""
    assert transport.shell(f"stat -c %a {files}/it*", timeout_s=5).output == "600\n"
    assert transport.shell(f"ls -A {files}", timeout_s=5).output == "it's a; file\n"


def test_foreign_output_comes_whole(transport: SshTransport, files: PurePosixPath) -> None:
    transport.push("grün 手机\n".encode() * 50_000, files / "text", mode=0o644, timeout_s=10)
    said = transport.shell(f"cat {files}/text", timeout_s=10)
    assert said.output == "grün 手机\n" * 50_000


def test_missing_and_forbidden_files_are_said_to_be(transport: SshTransport, board: Board) -> None:
    with pytest.raises(FileNotFoundError):
        transport.pull(transport.folder / "nothing", timeout_s=5)
    board.write("/etc/secret", "s")
    (board.root / "etc/secret").chmod(0o600)
    with pytest.raises(FileRefused, match=r"hand out /etc/secret: .*Permission denied"):
        transport.pull(PurePosixPath("/etc/secret"), timeout_s=5)
    with pytest.raises(FileRefused, match=r"refuses to write /etc/file: .*Permission denied"):
        transport.push(b"1", PurePosixPath("/etc/file"), mode=0o644, timeout_s=5)
    assert transport.shell("echo on", timeout_s=5).output == "on\n"


def test_a_full_disk_leaves_the_old_file_and_no_rest(transport: SshTransport) -> None:
    path = PurePosixPath("/small/model")
    transport.push(b"old", path, mode=0o644, timeout_s=5)
    with pytest.raises(DeviceFull, match=r"no space is left on pi@.* for /small/model; delete"):
        transport.push(bytes(4 * MIB), path, mode=0o644, timeout_s=10)
    assert transport.pull(path, timeout_s=5) == b"old"
    assert transport.shell("ls -A /small", timeout_s=5).output == "model\n"


def test_a_cut_push_leaves_the_old_file(
    transport: SshTransport, board: Board, files: PurePosixPath
) -> None:
    path = files / "model"
    transport.push(b"old", path, mode=0o644, timeout_s=5)
    timer = threading.Timer(0.2, board.cut)
    timer.start()

    def push_again_and_again() -> None:
        while True:
            transport.push(bytes(64 * MIB), path.with_name("big"), mode=0o644, timeout_s=20)
            transport.shell(f"rm {files}/big", timeout_s=5)

    with pytest.raises(TransportLost, match=r"was lost|went away"):
        push_again_and_again()
    timer.join()
    with pytest.raises(TransportLost, match="is not connected"):
        transport.shell("echo on", timeout_s=5)
    transport.reconnect()
    assert transport.pull(path, timeout_s=5) == b"old"

    def left() -> bool:
        return transport.shell(f"ls -A {files}", timeout_s=5).output.split() == ["model"]

    wait_for(left)  # the board's own shell puts right what it was sent


def test_a_command_that_does_not_end_is_lost_in_time(transport: SshTransport) -> None:
    started = time.monotonic()
    with pytest.raises(TransportLost, match=r"`sleep 9` on pi@.* did not end within 0.3 s"):
        transport.shell("sleep 9", timeout_s=0.3)
    assert time.monotonic() - started < 3
    transport.reconnect()


def test_what_runs_in_a_session_of_its_own_outlives_the_connection(
    transport: SshTransport, board: Board, files: PurePosixPath
) -> None:
    script = f"sleep 1; echo over > {files}/over"
    line = f"mkdir -p {files} && cd {files} && setsid sh -c '{script}' > out 2>&1 < /dev/null &"
    started = time.monotonic()
    transport.shell(line, timeout_s=5)
    assert time.monotonic() - started < 0.9
    board.cut()
    with pytest.raises(TransportLost):
        transport.shell("echo on", timeout_s=5)
    transport.reconnect()
    wait_for(lambda: transport.shell(f"cat {files}/over", timeout_s=5).output == "over\n")


def test_a_board_that_restarts_comes_back(transport: SshTransport, board: Board) -> None:
    boot = "cat /proc/sys/kernel/random/boot_id"
    before = transport.shell(boot, timeout_s=5).output
    board.kill()
    with pytest.raises(TransportLost):
        transport.shell("echo on", timeout_s=5)
    with pytest.raises(TransportLost, match=f"no answer from {board.address}"):
        transport.reconnect()
    board.start()
    transport.reconnect()
    assert transport.shell(boot, timeout_s=5).output not in ("", before)


def refusal(serial: str) -> str:
    """Why a board cannot be reached, in one line."""
    with closing(transport_to(serial, "ssh", Path())) as transport:
        with pytest.raises((DeviceNotReady, NoSuchDevice)) as raised:
            transport.reconnect()
        with pytest.raises(TransportLost, match="is not connected"):
            transport.shell("echo on", timeout_s=1)
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_an_unknown_host_key_is_refused_with_its_fingerprint(board: Board) -> None:
    (board.home / ".ssh/known_hosts").unlink()
    told = subprocess.run(
        ["ssh-keygen", "-lf", board.root / "etc/host_key.pub"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    said = refusal(board.address)
    assert f"shows the host key {told.split()[1]}, which is not the one in your file" in said
    assert f"run `ssh -p {board.port} pi@127.0.0.1` once, compare" in said


def test_another_host_key_than_before_is_refused(board: Board) -> None:
    with connected(board.address):
        board.kill()
    board.new_host_key()
    board.start()
    assert "which is not the one in your file of known hosts" in refusal(board.address)
    board.trust()
    with connected(board.address) as transport:
        assert transport.shell("id -un", timeout_s=5).output == "pi\n"


def test_a_user_whose_key_the_board_does_not_know_is_told_what_to_do(board: Board) -> None:
    board.allow("")
    assert f"`ssh-copy-id -p {board.port} pi@127.0.0.1`" in refusal(board.address)


def test_a_configuration_names_host_user_port_and_key(board: Board) -> None:
    folder = board.home / ".ssh"
    for name in ("id_ed25519", "id_ed25519.pub"):
        (folder / name).rename(folder / name.replace("id_ed25519", "of_boards"))
    config = (
        f"HostName 127.0.0.1\n  User {USER}\n  Port {board.port}\n  IdentityFile ~/.ssh/of_boards"
    )
    (folder / "config").write_text(f"Host lab-pi\n  {config}\n  RequestTTY force\n")
    with connected("lab-pi") as transport:
        said = transport.shell("id -un; echo err >&2", timeout_s=5)
    assert said == ShellResult(0, "pi\n", "err\n")


def test_a_key_with_a_passphrase_is_used_through_the_agent(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = board.home / ".ssh/id_ed25519"
    socket = board.home / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        wait_for(socket.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", key], check=True)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True)
        with connected(board.address) as transport:
            assert transport.shell("id -un", timeout_s=5).output == "pi\n"
        monkeypatch.delenv("SSH_AUTH_SOCK")
        assert "hand one with a passphrase to your SSH agent (`ssh-add`)" in refusal(board.address)
    finally:
        agent.terminate()
        agent.wait()


def test_a_configuration_that_cannot_be_read_is_said(board: Board) -> None:
    (board.home / ".ssh/config").write_text("Port many\n")
    assert "~/.ssh/config cannot be read" in refusal(board.address)
    (board.home / ".ssh/config").write_text("")
    (board.home / ".ssh/known_hosts").write_text("127.0.0.1\n")
    assert "a key or a file of known hosts cannot be read" in refusal(board.address)


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_whatever_the_users_shell_is_commands_are_those_of_sh(board: Board, shell: str) -> None:
    passwd = (board.root / "etc/passwd").read_text()
    board.write("/etc/passwd", passwd.replace("/bin/bash", shell))
    with connected(board.address) as transport:
        assert transport.shell("x='a b'; echo $x $0", timeout_s=5).output == "a b sh\n"


def test_a_home_that_a_script_cannot_name_is_refused(board: Board) -> None:
    passwd = (board.root / "etc/passwd").read_text()
    board.write("/etc/passwd", passwd.replace("/home/pi", "/home/my pi"))
    (board.root / "home/pi").rename(board.root / "home/my pi")
    assert "keeps caches in '/home/my pi/.cache', which a script cannot name" in refusal(
        board.address
    )


def test_nobody_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    port = free_port()
    assert f"no answer from pi@127.0.0.1:{port}" in refusal(f"pi@127.0.0.1:{port}")
    assert "no answer from pi@board.invalid" in refusal("pi@board.invalid")


def test_a_server_that_says_nothing_is_given_up(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_USABLE_WITHIN_S", 0.5)
    board.write(f"/home/{USER}/.bashrc", "sleep 9\n")
    assert "did not end within 0.5 s" in refusal(board.address)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pi@raspberrypi.local", ("raspberrypi.local", "pi", None)),
        ("lab-pi", ("lab-pi", None, None)),
        ("pi@10.0.0.7:2222", ("10.0.0.7", "pi", 2222)),
        ("pi@[fe80::1%eth0]:22", ("fe80::1%eth0", "pi", 22)),
    ],
)
def test_addresses(text: str, parts: tuple[str, str | None, int | None]) -> None:
    assert ssh_address(text) == parts


@pytest.mark.parametrize(
    "text", ["", "@host", "pi@", "pi@host:0", "pi@host:99999", "-oProxyCommand=x", "pi@a;b", "a b"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NoSuchDevice, match="write USER@HOST"):
        transport_to(text, "ssh", Path())
