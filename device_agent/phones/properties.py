"""What a phone or board says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from device_agent.text import clean

_PROPERTY = re.compile(r"^\[(?P<name>[^\]]+)\]: \[(?P<value>.*)\]$", re.MULTILINE)
_SOCS = ("ro.soc.model", "ro.board.platform", "ro.hardware")
_UNKNOWN = "unknown"
#: what phones say that have no serial number of their own
_NO_NUMBERS = frozenset({_UNKNOWN, "android", "default", "none", "null", "emulator"})
#: runs of these are what factories write that number no phones
_RUNS = ("0123456789abcdef" * 2, "1234567890abcdef" * 2, "fedcba9876543210" * 2)
#: shorter numbers may be a run by chance
_LEAST_RUN = 6


@dataclass(frozen=True)
class PhoneProperties:
    """Who a device is, by its own words."""

    model: str
    soc: str
    build: str
    #: best first
    abis: tuple[str, ...]
    #: Android's API level, 0 where it does not say, and of other systems
    sdk: int
    #: its own serial number, empty where it has none
    number: str


def parse_properties(text: str) -> PhoneProperties:
    """From the output of `getprop` without arguments; what is missing is `unknown`."""
    values = {match["name"]: match["value"].strip() for match in _PROPERTY.finditer(text)}
    maker, model = values.get("ro.product.manufacturer", ""), values.get("ro.product.model", "")
    name = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    abis = values.get("ro.product.cpu.abilist") or values.get("ro.product.cpu.abi", "")
    sdk = values.get("ro.build.version.sdk", "")
    return PhoneProperties(
        model=clean(name) or _UNKNOWN,
        soc=clean(next((values[key] for key in _SOCS if values.get(key)), "")) or _UNKNOWN,
        build=clean(values.get("ro.build.fingerprint", "")) or _UNKNOWN,
        abis=tuple(abi.strip() for abi in abis.split(",") if abi.strip()),
        sdk=int(sdk) if sdk.isdigit() else 0,
        number=own_number(values.get("ro.serialno", "")),
    )


def own_number(number: str) -> str:
    """A phone's serial number; empty where it says one that many phones say."""
    own = number.strip()
    plain = own.lower()
    shared = len(set(plain)) <= 1 or (
        len(plain) >= _LEAST_RUN and any(plain in run for run in _RUNS)
    )
    return "" if shared or plain in _NO_NUMBERS else own
