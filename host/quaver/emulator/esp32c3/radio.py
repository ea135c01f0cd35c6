"""The radio of the emulated ESP32-C3 at the entry points of its libraries: Wi-Fi to the host's network, Bluetooth to
the virtual air.

The station finds one access point (`Wifi`), joins it or is refused as ESP-IDF reports it, and loses it when it goes.
Structures and numbers: esp_wifi_types_generic.h and esp_event of ESP-IDF 5.5.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import tomllib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.emulator.identity import Identity
from quaver.emulator.network import Network
from quaver.emulator.wifi import NO_AP_FOUND, Wifi

if TYPE_CHECKING:
    from quaver.emulator.esp32c3.chip import Chip

_FRAME, _EVENT, _HCI, _ROOM = range(4)
_SCAN_DONE, _STA_START, _STA_STOP, _STA_CONNECTED, _STA_DISCONNECTED = 1, 2, 3, 4, 5
_REASON_LEAVE, _REASON_BEACON, _REASON_NO_AP, _REASON_AUTH_FAIL = 8, 200, 201, 202
_STA = 1  # WIFI_MODE_STA
_OK = 0
_NOT_STARTED = 0x3002  # ESP_ERR_WIFI_NOT_STARTED
_NOT_CONNECTED = 0x300F
_BSSID = bytes.fromhex("020000000001")  # the gateway's address
_CHANNEL = 6
_RSSI = -55
_WPA2_PSK, _OPEN = 3, 0
_RECORD_SIZE = 92  # of a wifi_ap_record_t
_CONFIG_SIZE = 256
_SSID, _PASSWORD = 32, 64
_JOIN_US = 300_000
_SEARCH_US = 1_500_000  # all channels, in vain
_REFUSE_US = 800_000
_LEAVE_US = 1_000
_TAKE_US = 50  # until the controller has taken an HCI packet out of the host's hands: an estimate
_ACL = 2  # H4 packet type
_COMPLETED_PACKETS = b"\x04\x13"  # H4 type and code of the events that tell of buffers
_DISCONNECTED = b"\x04\x05"
_COMPLETE = b"\x04\x0e"
_READ_BUFFER_SIZE = b"\x02\x20\x00"  # LE Read Buffer Size, status
_FIRST_OF_PYTHON = 6  # the entries before are answered by the core


_BLOCK = 0x10000  # applications begin at multiples of it
_MAGIC = 0xE9  # their first byte


@dataclass(frozen=True)
class EntryPoints:
    """One image of entry_points.toml."""

    sha256: str
    application_size: int
    application_sha256: str
    event_base: int
    entries: dict[str, int]

    @classmethod
    def known(cls) -> dict[str, EntryPoints]:
        """Those of each image that the emulator knows, by the version of its MicroPython."""
        tables = tomllib.loads(Path(__file__).with_name("entry_points.toml").read_text(encoding="utf-8"))
        return {
            version: cls(
                table["sha256"],
                table["application_size"],
                table["application_sha256"],
                table["wifi_event_base"],
                table["entries"],
            )
            for version, table in tables.items()
        }

    @classmethod
    def of(cls, flash: bytes) -> EntryPoints | None:
        """Those of the first known application that a flash, from its first byte, carries; None where it has none."""
        for at in range(_BLOCK, len(flash), _BLOCK):
            if flash[at] != _MAGIC:
                continue
            for points in cls.known().values():
                application = flash[at : at + points.application_size]
                if hashlib.sha256(application).hexdigest() == points.application_sha256:
                    return points
        return None


class Radio:
    """Both radios of one chip. on_hci: takes each HCI packet of the guest; on_power_off: the radio went dark."""

    chip: Chip

    def __init__(self, broker_port: int | None, identity: Identity) -> None:
        self.wifi = Wifi()
        self.on_hci: Callable[[bytes], None] = lambda packet: None
        self.on_power_off: Callable[[], None] = lambda: None
        self._identity = identity
        self._tasks: set[asyncio.Task[Any]] = set()
        self.nat_bridge: Any = None  # as the Pico W's radio has it: `Network` fills it in
        self.network = Network(self, self, broker_port, identity.ip)
        self._points = next(iter(EntryPoints.known().values()))
        self._names = list(self._points.entries)
        self._credit = Credit()
        self._wifi_ns = 0
        self._wifi_since: int | None = None
        self._answers: list[Callable[[int, int, int], int]] = [
            getattr(self, f"_{name}") for name in self._names[_FIRST_OF_PYTHON:]
        ]
        self._off()

    def wifi_on_ns(self) -> int:
        """For how long Wi-Fi was started."""
        return self._wifi_ns + (0 if self._wifi_since is None else self.chip.nanos - self._wifi_since)

    def _set_started(self, started: bool) -> None:
        if started != (self._wifi_since is not None):
            self._wifi_ns = self.wifi_on_ns()
            self._wifi_since = self.chip.nanos if started else None
        self._started = started

    def _off(self) -> None:
        self._mode = 0
        self._set_started(False)
        self._joined: bytes | None = None  # the network's name
        self._config = bytes(_CONFIG_SIZE)
        self._ps = 1
        self._credit = Credit()

    def begin(self, flash: bytes) -> None:
        """Tell the chip where the entry points of the image in its flash are; those before it where it is not known."""
        self._points = EntryPoints.of(flash) or self._points
        self.chip.set_entries(list(self._points.entries.values()), self._points.event_base)

    def call(self, entry: int, a0: int, a1: int, a2: int) -> int:
        if entry < 0 or entry >= 1 << 31:  # the chip was reset
            self._off()
            self.network.reset()
            self.on_power_off()
            return 0
        return self._answers[entry - _FIRST_OF_PYTHON](a0, a1, a2) & 0xFFFFFFFF

    def frame(self, frame: bytes) -> None:
        """An Ethernet frame of the guest's."""
        if self._joined is not None:
            self.nat_bridge.handle_outbound_ethernet_frame(frame)

    def changed(self) -> None:
        """The access point is another now: a station that it would not take is out."""
        if self._joined is not None and self._verdict() != 0:
            self._lose(_REASON_BEACON, _LEAVE_US)

    # As rp2040py's parts see their chip and radio.

    def queue_rx_ethernet_frame(self, frame: bytes) -> None:
        if self._joined is not None:
            self.chip.queue(_FRAME, 0, frame + bytes(max(0, 60 - len(frame))))

    def schedule_threadsafe(self, work: Callable[[], None] | Coroutine[Any, Any, Any]) -> None:
        loop = asyncio.get_running_loop()
        if asyncio.iscoroutine(work):
            task = loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif callable(work):
            loop.call_soon(work)

    # Wi-Fi.

    def _event(self, number: int, data: bytes = b"", after_us: int = 0) -> None:
        self.chip.queue(_EVENT, number, data, after_us)

    def _asked_for(self) -> tuple[bytes, bytes]:
        """The name and the password in the configuration."""
        ssid = self._config[:_SSID].split(b"\0")[0]
        return ssid, self._config[_SSID : _SSID + _PASSWORD].split(b"\0")[0]

    def _verdict(self) -> int:
        ssid, password = self._asked_for()
        return self.wifi.verdict(ssid.decode(errors="replace"), password.decode(errors="replace"))

    def _lose(self, reason: int, after_us: int) -> None:
        ssid = self._joined or self._asked_for()[0]
        self._joined = None
        self.network.reset()
        data = ssid.ljust(32, b"\0") + bytes((len(ssid),)) + _BSSID + struct.pack("<Bb", reason, _RSSI)
        self._event(_STA_DISCONNECTED, data, after_us)

    def _wifi_connect(self, a0: int, a1: int, a2: int) -> int:
        if not self._started:
            return _NOT_STARTED
        verdict = self._verdict()
        if verdict != 0:
            missing = verdict == NO_AP_FOUND
            self._lose(_REASON_NO_AP if missing else _REASON_AUTH_FAIL, _SEARCH_US if missing else _REFUSE_US)
            return _OK
        ssid, password = self._asked_for()
        self._joined = ssid
        mode = _WPA2_PSK if password else _OPEN
        data = ssid.ljust(32, b"\0") + bytes((len(ssid),)) + _BSSID + struct.pack("<BII", _CHANNEL, mode, 1)
        self._event(_STA_CONNECTED, data, _JOIN_US)
        return _OK

    def _wifi_disconnect(self, a0: int, a1: int, a2: int) -> int:
        if self._joined is not None:
            self._lose(_REASON_LEAVE, _LEAVE_US)
        return _OK

    def _wifi_set_mode(self, mode: int, a1: int, a2: int) -> int:
        self._mode = mode
        return _OK

    def _wifi_get_mode(self, where: int, a1: int, a2: int) -> int:
        self.chip.write(where, struct.pack("<I", self._mode))
        return _OK

    def _wifi_start(self, a0: int, a1: int, a2: int) -> int:
        self._set_started(True)
        if self._mode & _STA:
            self._event(_STA_START)
        return _OK

    def _wifi_stop(self, a0: int, a1: int, a2: int) -> int:
        if self._joined is not None:
            self._lose(_REASON_LEAVE, 0)
        if self._started:
            self._event(_STA_STOP)
        self._set_started(False)
        return _OK

    def _wifi_set_config(self, interface: int, where: int, a2: int) -> int:
        if interface == 0:
            self._config = self.chip.read(where, _CONFIG_SIZE)
        return _OK

    def _wifi_get_config(self, interface: int, where: int, a2: int) -> int:
        self.chip.write(where, self._config[: _SSID + _PASSWORD])
        return _OK

    def _wifi_scan_start(self, a0: int, a1: int, a2: int) -> int:
        if not self._started:
            return _NOT_STARTED
        self._event(_SCAN_DONE, struct.pack("<IBB", 0, int(self.wifi.present), 0))
        return _OK

    def _wifi_scan_get_ap_num(self, where: int, a1: int, a2: int) -> int:
        self.chip.write(where, struct.pack("<H", int(self.wifi.present)))
        return _OK

    def _record(self) -> bytes:
        ssid = (self._joined or (self.wifi.ssid or "quaver").encode())[:32]
        mode = _OPEN if self.wifi.password == "" else _WPA2_PSK
        head = _BSSID + ssid.ljust(33, b"\0") + bytes((_CHANNEL,)) + struct.pack("<IbxxxI", 0, _RSSI, mode)
        return head.ljust(_RECORD_SIZE, b"\0")

    def _wifi_scan_get_ap_records(self, count: int, records: int, a2: int) -> int:
        room = int.from_bytes(self.chip.read(count, 2), "little")
        found = min(room, int(self.wifi.present))
        if found:
            self.chip.write(records, self._record())
        self.chip.write(count, struct.pack("<H", found))
        return _OK

    def _wifi_sta_get_ap_info(self, where: int, a1: int, a2: int) -> int:
        if self._joined is None:
            return _NOT_CONNECTED
        self.chip.write(where, self._record())
        return _OK

    def _wifi_get_mac(self, interface: int, where: int, a2: int) -> int:
        mac = self._identity.wifi_mac
        self.chip.write(where, mac if interface == 0 else mac[:5] + bytes((mac[5] + 1,)))
        return _OK

    def _wifi_get_channel(self, primary: int, second: int, a2: int) -> int:
        self.chip.write(primary, bytes((_CHANNEL,)))
        self.chip.write(second, bytes(4))
        return _OK

    def _wifi_set_ps(self, kind: int, a1: int, a2: int) -> int:
        self._ps = kind
        return _OK

    def _wifi_get_ps(self, where: int, a1: int, a2: int) -> int:
        self.chip.write(where, struct.pack("<I", self._ps))
        return _OK

    def _wifi_get_protocol(self, interface: int, where: int, a2: int) -> int:
        self.chip.write(where, b"\x07")  # 802.11b, g, n
        return _OK

    def _wifi_get_max_tx_power(self, where: int, a1: int, a2: int) -> int:
        self.chip.write(where, bytes((80,)))  # quarters of a dBm
        return _OK

    def _wifi_ap_get_sta_list(self, where: int, a1: int, a2: int) -> int:
        return _NOT_STARTED  # it never is an access point

    def _taken(self, a0: int, a1: int, a2: int) -> int:
        return _OK

    _wifi_set_protocol = _wifi_set_channel = _wifi_set_mac = _wifi_set_storage = _taken
    _wifi_set_sta_ip = _wifi_set_max_tx_power = _wifi_netstack_callbacks = _taken

    # Bluetooth: the controller is elsewhere.

    _bt_init = _bt_enable = _taken

    def _bt_disable(self, a0: int, a1: int, a2: int) -> int:
        self.on_power_off()
        return _OK

    _bt_deinit = _taken

    def hci(self, packet: bytes) -> None:
        """One HCI packet of the guest, which sends no more until it is told that there is room."""
        self.on_hci(packet)
        if self._credit.sent(packet):
            self.chip.queue(_ROOM, 0, b"", _TAKE_US)

    def send_hci(self, packet: bytes) -> None:
        """One HCI packet to the guest, H4 type byte first."""
        self.chip.queue(_HCI, 0, packet)
        if self._credit.came(packet):
            self.chip.queue(_ROOM, 0, b"")


class Credit:
    """How many ACL packets the controller still has of its host: one more than it has buffers for stays in the
    host's hands until one is free (Core 5.4, Vol 4, Part E, 4.1.1).
    """

    def __init__(self) -> None:
        self._buffers = 1  # until the host has asked
        self._held: dict[int, int] = {}  # packets by their connection's handle
        self._waits = False

    def sent(self, packet: bytes) -> bool:
        """The host sent this one; whether there is room for another."""
        if packet[0] == _ACL:
            handle = _handle(packet, 1)
            self._held[handle] = self._held.get(handle, 0) + 1
        self._waits = sum(self._held.values()) > self._buffers
        return not self._waits

    def came(self, packet: bytes) -> bool:
        """The controller says this; whether that makes room for a packet that waited."""
        if packet[:2] == _COMPLETED_PACKETS:
            for at in range(4, 4 + 4 * packet[3], 4):
                self._free(_handle(packet, at), int.from_bytes(packet[at + 2 : at + 4], "little"))
        elif packet[:2] == _DISCONNECTED and packet[3] == 0:
            self._free(_handle(packet, 4))
        elif packet[:2] == _COMPLETE and packet[4:7] == _READ_BUFFER_SIZE and packet[9]:
            self._buffers = packet[9]
        room = self._waits and sum(self._held.values()) <= self._buffers
        self._waits = self._waits and not room
        return room

    def _free(self, handle: int, count: int | None = None) -> None:
        """So many packets of a connection, by default all, are done with."""
        left = 0 if count is None else self._held.get(handle, 0) - count
        if left > 0:
            self._held[handle] = left
        else:
            self._held.pop(handle, None)


def _handle(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at : at + 2], "little") & 0xFFF
