"""A phone in Python that speaks the ADB device protocol over TCP and can be told to fail.

In a conftest.py: `from tests.phones.fixtures import fake_phone, fake_phones  # noqa: F401`. Then

    def test_it(fake_phones: FakePhones, tmp_path: Path) -> None:
        phone = fake_phones.add(PhoneState(serial="A"))
        transport = transport_to(phone.address, "tcp", tmp_path)
        transport.reconnect()
        phone.freeze()

`phone.state` (`state.PhoneState`) is what it says of itself, from the next question on. Its shell
(`shell_grammar`, `shell_run`, `toolbox`, `android`) knows what the agent's scripts use.
`phone.programs[NAME] = program` makes a program that is called by name, or by the base name of a
pushed file; it is `async def program(call: Call) -> int`.
`phone.calls` lists the commands called; `phone.when_called[NAME]` is called before one is.
`sleep` and `phone.pass_time` take `phone.pace` real seconds for each of the phone's (0 by default).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography import x509
from OpenSSL import SSL

from tests.phones.android import ANDROID
from tests.phones.daemon import Session
from tests.phones.file_system import FileSystem
from tests.phones.processes import Processes
from tests.phones.state import THERMAL_SEVERE, PhoneState
from tests.phones.toolbox import Program
from tests.phones.toolbox_files import FILES
from tests.phones.toolbox_system import SYSTEM
from tests.phones.toolbox_text import TEXT

if TYPE_CHECKING:
    from tests.phones.fake_phones import FakePhones

_NANO = 10**9


class FakePhone:
    """One phone; made by `FakePhones.add`."""

    def __init__(self, phones: FakePhones, state: PhoneState) -> None:
        self._phones = phones
        self.state = state
        self.programs: dict[str, Program] = {**FILES, **TEXT, **SYSTEM, **ANDROID}
        self.files = FileSystem(
            self._generated,
            self._write_generated,
            lambda: self.state.root,
            lambda: set(self.programs),
        )
        self.processes = Processes()
        #: real seconds that one of the phone's takes
        self.pace = 0.0
        #: public keys that it trusts, as hosts send them
        self.trusted_keys: list[bytes] = []
        #: what hosts showed it in TLS
        self.certificates: list[x509.Certificate] = []
        #: whether hosts have to prove who they are
        self.asks_for_key = False
        #: whether it wants TLS of hosts, as phones do with Wireless debugging on
        self.wants_tls = False
        #: the only version of TLS that it speaks
        self.tls_version = SSL.TLS1_3_VERSION
        #: name and arguments of each command called
        self.calls: list[list[str]] = []
        #: called before the command of this name
        self.when_called: dict[str, Callable[[], object]] = {}
        self.port = 0
        self._offset_ns = 0
        self._stands_at_ns: int | None = None
        self._booted_ns = self.now_ns()
        self._boot_id = str(uuid.uuid4())
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._garbage = 0
        self._drop_after: int | None = None
        self._owner: bool | None = None
        #: the key that the dialog on the screen asks about, None where none is shown
        self.dialog: bytes | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT` for transports."""
        return f"127.0.0.1:{self.port}"

    # Faults. Any thread may call them.

    def heat_up(self, status: int = THERMAL_SEVERE, celsius: float = 62.0) -> None:
        """Thermal status and temperature rise."""
        self.state.thermal_status, self.state.cpu_celsius = status, celsius

    def cool_down(self) -> None:
        """Status none, 38 degrees."""
        self.heat_up(0, 38.0)

    def freeze(self) -> None:
        """Takes packets and answers none, until `thaw`."""
        self._phones.soon(self._thawed.clear)

    def thaw(self) -> None:
        """Goes on where it froze."""
        self._phones.soon(self._thawed.set)

    def drop_after(self, size: int) -> None:
        """Cuts all connections when this many more bytes have come."""
        self._drop_after = size

    def answer_garbage(self, packets: int = 1) -> None:
        """The next packets are random bytes."""
        self._garbage = packets

    def fill_disk(self, free: int = 0) -> None:
        """Leaves this many bytes free."""
        self.files.capacity = self.files.used + free

    def refuse_key(self) -> None:
        """Trusts nobody, and its owner says no."""
        self._distrust(owner=False)

    def show_dialog(self) -> None:
        """Trusts nobody, and its owner is not there to say anything."""
        self._distrust(owner=None)

    def accept_key(self) -> None:
        """The owner says yes, now or when next asked."""
        self._owner = True

    def lose_power(self) -> None:
        """Gone, until `power_on`."""
        self._phones.wait(self._down())

    def lose_power_soon(self) -> None:
        """Gone, for hooks: they are called in the phones' thread, which must not wait."""
        self._phones.soon(lambda: self._phones.start(self._down()))

    def power_on(self) -> None:
        """Boots, at the same address."""
        self._phones.wait(self.up())

    def reboot(self, down_s: float = 0.3) -> None:
        """Gone, and back after a while. Files stay, processes and changed modes do not."""
        self._phones.soon(lambda: self._phones.start(self._reboot(down_s)))

    # What the daemon and the shell need.

    def properties(self) -> dict[str, str]:
        """What `getprop` says."""
        return self.state.properties()

    def now_ns(self) -> int:
        """The phone's clock."""
        real_ns = time.time_ns() if self._stands_at_ns is None else self._stands_at_ns
        return real_ns + self._offset_ns

    @property
    def uptime_s(self) -> float:
        """Since it booted, by its clock."""
        return (self.now_ns() - self._booted_ns) / _NANO

    def stop_clock(self) -> None:
        """From now on only `sleep` and `pass_time` take time, however slowly all else goes."""
        self._stands_at_ns = time.time_ns()

    async def pass_time(self, seconds: float) -> None:
        """The phone's clock goes on by this much."""
        if self.pace:
            await asyncio.sleep(seconds * self.pace)
        beside = self.pace if self._stands_at_ns is None else 0.0
        self._offset_ns += round(seconds * (1 - beside) * _NANO)
        await self.breath()

    async def breath(self) -> None:
        """Waits where the phone is frozen."""
        await self._thawed.wait()

    async def received(self, size: int) -> None:
        """Counts bytes from hosts."""
        await self.breath()
        if self._drop_after is not None:
            self._drop_after -= size
            if self._drop_after <= 0:
                self._drop_after = None
                self._cut_all()
                raise ConnectionResetError

    def takes_garbage(self) -> bool:
        """Whether the next packet is to be garbage."""
        if not self._garbage:
            return False
        self._garbage -= 1
        return True

    async def ask_owner(self, key: bytes) -> bool:
        """Shows the dialog until the owner has answered."""
        self.dialog = key
        while self._owner is None:  # noqa: ASYNC110 - other threads set it
            await asyncio.sleep(0.01)
        self.dialog = None
        if self._owner and key not in self.trusted_keys:
            self.trusted_keys.append(key)
        return self._owner

    def called(self, fields: list[str]) -> None:
        """Remembers a command, and calls its hook."""
        self.calls.append(fields)
        if (hook := self.when_called.get(fields[0].rpartition("/")[2])) is not None:
            hook()

    async def up(self) -> None:
        """Listens, at the port it had."""
        self._booted_ns = self.now_ns()
        self._boot_id = str(uuid.uuid4())
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut_all()
        self.processes.kill_all()
        self.state.fixed_performance = False
        self.state.more_files.clear()

    async def end(self) -> None:
        """Gone for good; whoever waits for it waits no more."""
        self._thawed.set()
        self._owner = False
        await self._down()

    async def _reboot(self, down_s: float) -> None:
        await self._down()
        await asyncio.sleep(down_s)
        await self.up()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader, writer)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    def _cut_all(self) -> None:
        for session in self._sessions:
            session.cut()

    def _distrust(self, *, owner: bool | None) -> None:
        self.asks_for_key = True
        self._owner = owner
        self.trusted_keys.clear()
        self._phones.soon(self._cut_all)

    def _generated(self) -> dict[str, str]:
        uptime_s = self.uptime_s
        return self.state.files() | {
            "/proc/uptime": f"{uptime_s:.2f} {uptime_s:.2f}\n",
            "/proc/loadavg": "0.52 0.61 0.70 1/2345 6789\n",
            "/proc/sys/kernel/random/boot_id": f"{self._boot_id}\n",
            "/proc/meminfo": "MemTotal: 7800000 kB\nMemAvailable: 4200000 kB\n",
        }

    def _write_generated(self, path: str, text: str) -> None:
        if text:  # opening it for writing cuts a file, but not one of sysfs
            self.state.more_files[path] = text
