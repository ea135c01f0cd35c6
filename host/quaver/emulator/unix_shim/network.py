"""The board's `network`: a Wi-Fi station and the one access point that the host puts there (set_sensor("wifi", …)).

Status codes are those of the Pico W. Joining takes two seconds of the board's time.
"""

import socket as _socket

import quaver_link as _link
from micropython import const

STA_IF = const(0)
AP_IF = const(1)
STAT_IDLE = const(0)
STAT_CONNECTING = const(1)
STAT_GOT_IP = const(3)
STAT_NO_AP_FOUND = const(-2)
STAT_WRONG_PASSWORD = const(-3)
STAT_CONNECT_FAIL = const(-1)

_JOIN = const(1)  # what a WIFI request is about
_NAME = const(2)
_NAME_MAX = const(32)
_JOIN_NS = const(2000000000)
_ADDRESSES = ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

mac = b"\x02\x00\x00\x00\x00\x02"  # set at boot
_name = "quaver"
_country = "XX"
_on = False
_joined_at = None  # when the join that was asked for is through, ns
_ssid = ""
_verdict = 0  # what comes of that join: 0, or a status


def hostname(name=None):
    global _name
    if name is None:
        return _name
    _name = name


def country(code=None):
    global _country
    if code is None:
        return _country
    _country = code


def _status():
    global _joined_at
    if not _on or _joined_at is None:
        return STAT_IDLE
    if _link.now() < _joined_at:
        return STAT_CONNECTING
    if _verdict:
        return _verdict
    if not _link.wifi():  # as of the last exchange, so that a socket's look at it costs nothing
        return STAT_NO_AP_FOUND
    return STAT_GOT_IP


def _ask():
    _link.call(_link.WIFI, 0, 0, 0, 0, None, 0, 0, None)


def _is_up():
    return _status() == STAT_GOT_IP


_socket.is_up = _is_up


class WLAN:
    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 16
    PM_PERFORMANCE = 10555714
    PM_POWERSAVE = 17
    SEC_OPEN = 0
    SEC_WPA2 = 4194308

    def __init__(self, interface=STA_IF):
        self._station = interface == STA_IF

    def active(self, on=None):
        global _on, _joined_at
        if on is None:
            return _on and self._station
        if self._station:
            _on = bool(on)
            if not _on:
                _joined_at = None

    def connect(self, ssid=None, key=None, *, bssid=None, security=None):
        global _joined_at, _ssid, _verdict
        if not self._station or not _on:
            raise OSError(1)
        if ssid:
            _ssid = ssid
        asked = (_ssid + "\0" + (key or "")).encode()
        _verdict = _link.call(_link.WIFI, _JOIN, 0, 0, 0, asked, 0, len(asked), None)
        _joined_at = _link.now() + _JOIN_NS

    def disconnect(self):
        global _joined_at
        _joined_at = None

    def isconnected(self):
        _ask()
        return self._station and _is_up()

    def status(self, what=None):
        if what == "rssi":
            return -50 if _is_up() else 0
        _ask()
        return _status() if self._station else STAT_IDLE

    def ifconfig(self, addresses=None):
        if addresses is None:
            return _ADDRESSES if self.isconnected() else ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def ipconfig(self, what=None, **_):
        if what == "addr4":
            return self.ifconfig()[:2]
        if what == "gw4":
            return self.ifconfig()[2]

    def scan(self):
        name = bytearray(_NAME_MAX)
        secured = _link.call(_link.WIFI, _NAME, 0, 0, 0, None, 0, 0, name)
        found = (bytes(name[: _link.size()]), b"\x02\x00\x00\x00\x00\x01", 1, -50, 5 if secured else 0, 1)
        return [found] if _on and _link.wifi() else []

    def config(self, *what, **settings):
        if not what:
            return
        known = {"mac": mac, "ssid": _ssid, "essid": _ssid, "channel": 1, "pm": self.PM_NONE}
        return known[what[0]]
