"""Networks that a setting names, and addresses in them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated

from pydantic import BeforeValidator

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(_network(one.strip()) for one in value.split(",") if one.strip())


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no address or network ({error}); expected some with commas between "
            "them, as in 10.0.0.0/8, 192.0.2.7"
        ) from error


#: addresses and networks in CIDR notation, with commas between them
Networks = Annotated[tuple[Network, ...], BeforeValidator(_parsed)]


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks; an IPv4 one within IPv6 counts as IPv4."""
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any((plain or address) in network for network in networks)
