"""Improv Wi-Fi (improv-wifi.com: BLE 2.2, serial 1): takes a network's name and password, for tools that speak it.

It says nothing secretly: the password travels as the client sends it. So it is off unless the configuration asks for
it, takes credentials only while its window is open, and never gives any out.

    state               window opens   Wi-Fi command    joined   not joined    window ends
    1 authorization     2              error 4
    2 authorized        2              3                                       1
    3 provisioning                                      4        2, error 3
    4 provisioned       2              3                                       4
"""

from micropython import const

STATE = 1  # what `emit` is given: the packet types of the serial side, and the last digit of the characteristics'
ERROR = 2  # (state 8001, error 8002, result 8004)
RESULT = 4

AUTHORIZATION = 1
AUTHORIZED = 2
PROVISIONING = 3
PROVISIONED = 4

_NONE = const(0)
_INVALID = const(1)
_UNKNOWN = const(2)
_CANNOT_CONNECT = const(3)
_NOT_AUTHORIZED = const(4)
_FAILED = const(0xFF)

_WIFI = const(1)
# 2: identify, or on the serial side: what is the state?
_ABOUT = const(3)
_SCAN = const(4)

_DATA_MAX = const(252)
_NOTIFIED_MAX = const(241)  # of which a client with an ATT_MTU of 247 sees all at once
_PACKET_MAX = const(258)
_PACKETS_MAX = const(24)  # of a scan: networks that a list shows


def strings(data):
    """The length-prefixed strings of a packet's data, as bytes; ValueError when they do not fill it exactly."""
    found = []
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            raise ValueError
        found.append(bytes(data[at + 1 : end]))
        at = end
    return found


def packed(texts):
    """Texts as length-prefixed strings; raises ValueError above 252 bytes."""
    data = b"".join(bytes((len(text),)) + text for text in (text.encode() for text in texts))
    if len(data) > _DATA_MAX:
        raise ValueError
    return data


class Improv:
    """emit(kind, data): sends one packet's data, or sets and notifies one characteristic.

    about: (firmware, version, chip, name). join(ssid, password): a coroutine that joins and keeps the network and
    returns a list of URLs, or raises OSError. scan(): a coroutine, [(ssid, rssi, secured)]. identify(): shows itself.
    uptime: its ms() does not wrap. serial: that side's packets have no sum of their own, and a few other answers.
    """

    def __init__(self, emit, about, join, scan, identify, uptime, serial=False):
        self._emit = emit
        self._about = about
        self._join = join
        self._scan = scan
        self._identify = identify
        self._uptime = uptime
        self._serial = serial
        self._until = None
        self._urls = []
        self._part = b""
        self.state = AUTHORIZATION
        self.refused = 0  # packets and commands that got an error

    def capabilities(self):
        """The bit set of characteristic 8005: identify, device information, scan."""
        return 7

    def open(self, seconds):
        """Power came up or the button was pressed: credentials are taken from now on for `seconds`."""
        self._until = self._uptime.ms() + seconds * 1000
        self._go(AUTHORIZED)

    def tick(self):
        """To be called now and then: closes the window in time; returns whether it is open."""
        if self._until is not None and self._uptime.ms() > self._until:
            self._until = None
            if self.state == AUTHORIZED:
                self._go(AUTHORIZATION)
        return self._until is not None

    def _go(self, state):
        self.state = state
        self._emit(STATE, bytes((state,)))

    def _error(self, code):
        if code:
            self.refused += 1
        self._emit(ERROR, bytes((code,)))

    def _result(self, command, texts):
        data = packed(texts)
        data = bytes((command, len(data))) + data
        if not self._serial:
            data += bytes((sum(data) & 0xFF,))
        self._emit(RESULT, data)

    async def write(self, part):
        """BLE: one write to characteristic 8003. A packet above the MTU comes in several; a wrong one clears them."""
        packet = self._part + part
        self._part = b""
        if len(packet) < 2 or len(packet) < packet[1] + 3 <= _PACKET_MAX:
            self._part = packet
            return
        await self.command(packet)

    def forget(self):
        """The client is gone: so is the packet that it began."""
        self._part = b""

    async def command(self, packet):
        """Carry out one whole command packet: [command, length, data], and on BLE its sum."""
        end = len(packet) - (0 if self._serial else 1)
        if end < 2 or packet[1] != end - 2 or (not self._serial and packet[end] != sum(packet[:end]) & 0xFF):
            self._error(_INVALID)
            return
        command = packet[0]
        data = packet[2:end]
        if not _WIFI <= command <= _SCAN:
            self._error(_UNKNOWN)
            return
        if data and command != _WIFI:
            self._error(_INVALID)
            return
        self._error(_NONE)
        if command == _WIFI:
            await self._wifi(data)
        elif command == _ABOUT:
            self._result(_ABOUT, self._about)
        elif command == _SCAN:
            await self._networks()
        elif self._serial:
            self._emit(STATE, bytes((self.state,)))
            if self.state == PROVISIONED:
                self._result(_WIFI, self._urls)
        else:
            self._identify()

    async def _wifi(self, data):
        try:
            ssid, password = (text.decode() for text in strings(data))
            if not 1 <= len(ssid) <= 32 or len(password) > 63:
                raise ValueError
        except ValueError:  # UnicodeError is one
            self._error(_INVALID)
            return
        if not self.tick() or self.state == PROVISIONING:
            self._error(_NOT_AUTHORIZED)
            return
        before = self.state
        self._go(PROVISIONING)
        try:
            self._urls = await self._join(ssid, password)
        except OSError:
            self._go(before)
            self._error(_CANNOT_CONNECT)
            return
        self._go(PROVISIONED)
        self._result(_WIFI, self._urls)

    async def _networks(self):
        try:
            found = await self._scan()
        except OSError:
            self._error(_FAILED)
            return
        found = found[:_PACKETS_MAX]
        if self._serial:
            for ssid, rssi, secured in found:
                self._result(_SCAN, (ssid, str(rssi), "YES" if secured else "NO"))
            self._result(_SCAN, ())
            return
        texts: list = []
        for ssid, rssi, secured in found:
            more = [ssid, str(rssi), "WPA2" if secured else "NO"]
            if len(packed(texts)) + len(packed(more)) > _NOTIFIED_MAX:
                break
            texts += more
        self._result(_SCAN, texts)
