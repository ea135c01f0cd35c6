"""The Wi-Fi station link: up within a limit, or a reason why not."""

import asyncio
import time

from micropython import const

from links.errors import LinkError

_POLL_MS = const(100)
_STALE_MS = const(5000)  # an ESP32 tells the reason of the attempt before until this one has one; that takes 1 to 3 s
_SETTLE_MS = const(1250)  # 40 ms after joining, the Pico W's driver keeps the processor for 73, and after 1,130 for 36
# network.STAT_* of the cyw43 and, in the 200s, of the ESP32
_REASONS = {
    -3: "wrong password",
    -2: "no such network",
    -1: "connection failed",
    201: "no such network",
    202: "wrong password",
    203: "association failed",
    204: "handshake timed out",
}


class Wifi:
    """wlan: the port's station interface (network.WLAN).

    memory: hal.memory, where nothing but the join is to take of it as the network is joined first; else None.
    """

    def __init__(self, wlan, ssid, password, memory=None):
        self._wlan = wlan
        self._memory = memory
        self._ssid = ssid
        self._password = password

    def is_up(self):
        return self._wlan.isconnected()

    async def up(self, limit_ms):
        """Join the network; raise LinkError with the reason when that takes longer than `limit_ms`."""
        if not self._ssid:
            raise LinkError("no wifi.ssid in config.json")
        wlan = self._wlan
        wlan.active(True)
        if wlan.isconnected():
            return
        if not self._memory:
            return await self._join(limit_ms)
        self._memory.fill()
        try:
            await self._join(limit_ms)
        finally:
            self._memory.release()
        self._memory = None

    async def _join(self, limit_ms):
        wlan = self._wlan
        began = time.ticks_ms()
        stale = wlan.status()
        wlan.connect(self._ssid, self._password or None)
        while not wlan.isconnected():
            status = wlan.status()
            passed = time.ticks_diff(time.ticks_ms(), began)
            if status != stale or passed > _STALE_MS:
                stale = None
                reason = _REASONS.get(status)
                if reason:
                    wlan.disconnect()
                    raise LinkError("wifi " + reason)
            if passed > limit_ms:
                wlan.disconnect()
                raise LinkError("wifi not up within {} ms".format(limit_ms))
            await asyncio.sleep_ms(_POLL_MS)
        await asyncio.sleep_ms(_SETTLE_MS)
