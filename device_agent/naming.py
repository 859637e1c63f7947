"""What computers are called, from what their firmware and their kernel say."""

from __future__ import annotations

from device_agent.text import clean

#: what firmware says where nobody filled the field in
_PLACEHOLDERS = frozenset({"to be filled by o.e.m.", "system product name", "default string"})


def machine_name(vendor: str, product: str, tree: str) -> str:
    """Vendor and product from the firmware, or the board's name from the device tree.

    Args:
        vendor: `sys_vendor` of DMI, empty where there is none.
        product: `product_name` of DMI, likewise.
        tree: the device tree's `model`, likewise.
    """
    named = [part for part in (vendor, product) if part and part.lower() not in _PLACEHOLDERS]
    return clean(" ".join(named) or tree)


def system_name(kernel: str, distribution: str) -> str:
    """Kernel and distribution, where it says which it is."""
    return clean(f"{kernel} ({distribution})" if distribution else kernel)
