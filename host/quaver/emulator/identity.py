"""Who an emulated board is: the numbers that a real one gets in its factory, derived from its name."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass

_ESPRESSIF = bytes.fromhex("7cdfa1")
_RASPBERRY_PI = bytes.fromhex("28cdc1")  # the maker's part of a Pico W's addresses
_counts: dict[str, itertools.count[int]] = {}


@dataclass(frozen=True)
class Identity:
    """unique_id: as `machine.unique_id` gives it: 8 bytes of the Pico W's flash chip, an ESP32's address.

    wifi_mac, ble_address: 6 bytes, as written. ip: what its DHCP gives.
    """

    unique_id: bytes
    wifi_mac: bytes
    ble_address: bytes
    ip: str

    @classmethod
    def of(cls, name: str) -> Identity:
        """The same name is the same board, in every run; different names are different boards."""
        digest = hashlib.sha256(b"quaver board " + name.encode()).digest()
        wifi = _RASPBERRY_PI + digest[8:10] + bytes((digest[10] & 0xFE,))
        return cls(
            unique_id=digest[:8],
            wifi_mac=wifi,
            ble_address=wifi[:5] + bytes((wifi[5] | 1,)),  # the next one, as the CYW43 driver has it
            ip=f"10.0.0.{2 + digest[11] % 250}",
        )

    @classmethod
    def of_esp32(cls, name: str) -> Identity:
        """The same for an ESP32: one address in its eFuse, from which the others follow (ESP-IDF, MAC addresses)."""
        pico = cls.of(name)
        wifi = _ESPRESSIF + pico.wifi_mac[3:5] + bytes((pico.wifi_mac[5] & 0xFC,))
        return cls(unique_id=wifi, wifi_mac=wifi, ble_address=wifi[:5] + bytes((wifi[5] + 2,)), ip=pico.ip)


def next_name(kind: str) -> str:
    """A name for a board that was given none: "unix1", "unix2", … in this process."""
    return f"{kind}{next(_counts.setdefault(kind, itertools.count(1)))}"
