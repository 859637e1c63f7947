"""SPAKE2 against numbers of other programs, and against itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.transports.wifi.spake2 import KEY_SIZE, MESSAGE_SIZE, NoPoint, Role, Spake2

NAMES = (b"adb pair client\0", b"adb pair server\0")
#: `123456`, and 64 bytes as out of TLS
PASSWORD = b"123456" + bytes(range(64))

#: the private scalars divided by 8, both messages, the key: said by spake2-c, BoringSSL's C code
#: cut out by others, for the names and the password above
SCALARS = {
    "alice": "a0a00dfc3e52fd7550e3d47331834e67a4cd088aa68c43e734099f85626eac57",
    "bob": "88c7ad2098dd340b131a585ef0027c5715e38aa1793a78dec1ac99654eda750f",
}
MESSAGES = {
    "alice": "36d6d7c871edd593a3d7ef3014339be29f94d98c55203e219b5c44dcbfc0fd26",
    "bob": "99cfe3a055142b8bec744a0535ebc6bb940fa59073a68c02fc339c51866fc66e",
}
SHARED = (
    "85420fa0d4d12b4d6b598b1c3d81501127f80165e8dddfea9018b7c172d61d32"
    "239b689d6040527bfeceff9e3f062b5a98162985f3ed96c87e10df124fc1026d"
)


@pytest.mark.parametrize(("role", "other"), [("alice", "bob"), ("bob", "alice")])
def test_both_sides_are_those_of_boringssl(role: Role, other: Role) -> None:
    scalar = int.from_bytes(bytes.fromhex(SCALARS[role]), "little")
    side = Spake2(role, NAMES, PASSWORD, (scalar // 8).to_bytes(64, "little"))
    assert side.message.hex() == MESSAGES[role]
    assert side.key(bytes.fromhex(MESSAGES[other])).hex() == SHARED


@settings(max_examples=15, deadline=None)
@given(
    passwords=st.tuples(st.binary(max_size=80), st.binary(max_size=80))
    | st.binary().map(lambda b: (b, b))
)
def test_keys_are_equal_if_and_only_if_passwords_are(passwords: tuple[bytes, bytes]) -> None:
    alice, bob = Spake2("alice", NAMES, passwords[0]), Spake2("bob", NAMES, passwords[1])
    assert len(alice.message) == MESSAGE_SIZE
    keys = alice.key(bob.message), bob.key(alice.message)
    assert {len(key) for key in keys} == {KEY_SIZE}
    assert (keys[0] == keys[1]) == (passwords[0] == passwords[1])


def test_names_and_roles_are_part_of_the_key() -> None:
    alice, bob = Spake2("alice", NAMES, b"1"), Spake2("bob", (NAMES[0], b"other"), b"1")
    assert alice.key(bob.message) != bob.key(alice.message)
    twin = Spake2("alice", NAMES, b"1")
    assert alice.key(twin.message) != twin.key(alice.message)


def test_each_exchange_has_a_private_key_of_its_own() -> None:
    assert Spake2("alice", NAMES, b"1").message != Spake2("alice", NAMES, b"1").message


@pytest.mark.parametrize(
    "message",
    [
        pytest.param((2).to_bytes(32, "little"), id="off the curve"),
        pytest.param((2**255 - 19).to_bytes(32, "little"), id="not reduced"),
        pytest.param((1 | 1 << 255).to_bytes(32, "little"), id="minus zero"),
        pytest.param(bytes(31), id="short"),
        pytest.param(bytes(33), id="long"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_is_no_point_is_refused(message: bytes) -> None:
    with pytest.raises(NoPoint, match="is no point of edwards25519"):
        Spake2("alice", NAMES, b"1").key(message)
