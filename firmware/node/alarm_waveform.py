"""The waveform of the moment of an alarm: on flash until it is fetched, or another alarm's takes its place.

Its 8 kB take three blocks of flash. One that nobody has fetched stays for an hour at least: what comes in that time is
most often the same alarm again, and its first moment says the most. So a level that flutters costs 24 files a day.
"""

import os
from binascii import crc32
from struct import pack, unpack

from micropython import const

from node.room import opened

_HOUR_MS = const(3_600_000)
_MARK = b"QvW1"
# mark, bytes and CRC-32 of the samples, their rate in Hz, g a count, boot, uptime and date (or 0) in ms; its own CRC-32
_FORM = "<4sIIffIQQ"
_HEAD = const(44)
_NONE = "no waveform of an alarm is kept"


class AlarmWaveform:
    """moment(): (boot, uptime in ms, ms since 1970 or None) as of node.record."""

    def __init__(self, moment, path="/alarm.wave"):
        self._moment = moment
        self._path = path
        self._saved_ms = None

    def save(self, samples, rate_hz, scale_g):
        """Keep samples (bytes); False when another's stays. Raises OSError when flash can't be written.

        After a power cut there is the old one or the new.
        """
        boot, uptime_ms, time_ms = self._moment()
        if self._saved_ms is not None and uptime_ms - self._saved_ms < _HOUR_MS:
            return False
        head = pack(_FORM, _MARK, len(samples), crc32(samples), rate_hz, scale_g, boot, uptime_ms, time_ms or 0)
        aside = self._path + ".new"
        with opened(aside, "wb") as file:
            file.write(head)
            file.write(pack("<I", crc32(head)))
            file.write(samples)
        os.rename(aside, self._path)
        self._saved_ms = uptime_ms
        return True

    def about(self):
        """What is kept: size, crc, rate_hz, scale_g, boot, uptime_ms, time_ms (absent without a clock). Raises
        ValueError for nothing."""
        try:
            with opened(self._path, "rb") as file:
                head = file.read(_HEAD)
        except OSError:
            raise ValueError(_NONE)
        if len(head) < _HEAD or pack("<I", crc32(head[:-4])) != head[-4:]:
            raise ValueError(_NONE)
        mark, size, crc, rate_hz, scale_g, boot, uptime_ms, time_ms = unpack(_FORM, head[:-4])
        if mark != _MARK:
            raise ValueError(_NONE)
        about = {"size": size, "crc": crc, "rate_hz": rate_hz, "scale_g": scale_g, "boot": boot, "uptime_ms": uptime_ms}
        if time_ms:
            about["time_ms"] = time_ms
        return about

    def part(self, crc, at, count):
        """`count` bytes of the samples from `at` on. Raises ValueError when those of that CRC are kept no more."""
        if self.about()["crc"] != crc:
            raise ValueError(_NONE)
        with opened(self._path, "rb") as file:
            file.seek(_HEAD + at)
            return file.read(count)

    def drop(self, crc):
        """It is fetched: let go the samples of that CRC, and no others. Raises ValueError, OSError."""
        if self.about()["crc"] != crc:
            raise ValueError(_NONE)
        os.remove(self._path)
        self._saved_ms = None
