"""The Wi-Fi around an emulated board: the one access point in its air."""

from __future__ import annotations

from dataclasses import dataclass

NO_AP_FOUND, WRONG_PASSWORD = -2, -3  # network.STAT_* of the Pico W


@dataclass
class Wifi:
    """What `network` finds in the air: one access point, when it is present.

    ssid, password: its own, what else is asked for is not there or is refused; without them it is named "quaver" and
    takes any network's name and any password.
    """

    present: bool = True
    ssid: str | None = None
    password: str | None = None

    def verdict(self, ssid: str, password: str) -> int:
        """What comes of joining: 0, or network.STAT_NO_AP_FOUND or STAT_WRONG_PASSWORD."""
        if not self.present or self.ssid not in (None, ssid):
            return NO_AP_FOUND
        return 0 if self.password in (None, password) else WRONG_PASSWORD
