"""The board's `aioble`: the interface of MicroPython's asyncio Bluetooth library, done by the host's virtual air.

What firmware uses is here, with aioble's names, defaults, limits and exceptions: advertise, scan, connect, GATT
server and client. Not here: pairing, L2CAP channels, descriptors of one's own. The radio's events come through
`select` (its `on_radio`), as they come by interrupt on a microcontroller. Commands are numbered as in
host/quaver/emulator/radio/guest.py.
"""

import asyncio
import binascii
import json
import select as _select
import struct
from asyncio import core as _core
from collections import deque

import quaver_link as _link
from bluetooth import UUID
from micropython import const

ADDR_PUBLIC = const(0)
ADDR_RANDOM = const(1)

_ACTIVE = const(1)
_MTU = const(2)
_NEXT = const(3)
_REGISTER = const(4)
_SET_VALUE = const(5)
_VALUE = const(6)
_NOTIFY = const(7)
_ADVERTISE = const(8)
_SCAN = const(9)
_CONNECT = const(10)
_DISCONNECT = const(11)
_SERVICES = const(12)
_CHARACTERISTICS = const(13)
_DESCRIPTORS = const(14)
_READ = const(15)
_WRITE = const(16)
_EXCHANGE_MTU = const(17)
_CANCEL_CONNECT = const(18)

_FLAG_READ = const(0x02)
_FLAG_WRITE_NO_RESPONSE = const(0x04)
_FLAG_WRITE = const(0x08)
_FLAG_NOTIFY = const(0x10)
_FLAG_INDICATE = const(0x20)
_CAPTURED = const(10)  # writes that wait for `written` at most, of all characteristics
_DEFAULT_SIZE = const(20)
_ADV_MAX = const(31)
_CCCD = const(0x2902)

_data = bytearray(8192)
_view = memoryview(_data)
_connections = {}  # number -> DeviceConnection
_values = {}  # handle -> Characteristic of ours
_on = False
_mtu = 256
_address = None
_incoming = None  # a connection that advertise() has yet to return
_scanner = None
_connecting = None  # the connection that waits for its first event


class GattError(Exception):
    def __init__(self, status):
        self._status = status


class DeviceDisconnectedError(Exception):
    pass


class _Flag:
    """Wakes one task; a stream to asyncio, as its own ThreadSafeFlag is."""

    def __init__(self):
        self._set = False

    def set(self):
        self._set = True

    def any(self):
        return self._set

    def next_byte(self):
        return _link.FOREVER

    async def wait(self):
        if not self._set:
            yield _core._io_queue.queue_read(self)
        self._set = False


_connected = _Flag()


def _call(verb, b=0, c=0, d=0, data=b"", at=None):
    return _link.call(_link.RADIO, verb, b, c, d, data, 0, len(data), at)


def _ensure_active():
    global _on, _address
    if not _on:
        _select.on_radio = _on_radio
        _address = bytearray(6)
        _call(_ACTIVE, 1, at=_address)
        _on = True


def config(*what, **settings):
    """config(mtu=…) sets, config("mtu") and config("mac") ask."""
    global _mtu
    _ensure_active()
    if "mtu" in settings:
        _mtu = settings["mtu"]
        _call(_MTU, _mtu)
    if what:
        return (ADDR_PUBLIC, bytes(_address)) if what[0] == "mac" else {"mtu": _mtu}[what[0]]


def stop():
    global _on, _scanner, _incoming, _connecting
    if _on:
        _call(_ACTIVE, 0)
        _on = False
    _select.on_radio = None
    _connections.clear()
    _values.clear()
    _scanner = _incoming = _connecting = None


def _on_radio():
    """Fetch the events there are and hand each to whom it concerns."""
    while True:
        value = _call(_NEXT, at=_data)
        if not value:
            return
        _happened(value & 0xFF, value >> 8 & 0xFFFF, value >> 24, _link.more(), bytes(_view[: _link.size()]))


def _happened(kind, number, handle, more, data):
    global _incoming, _connecting
    connection = _connections.get(number)
    if kind == 5:  # scan result: number is the address type, handle the type of advertisement
        if _scanner is not None:
            _scanner._heard(number, data[:6], handle, more - 256 if more > 127 else more, data[6:])
    elif kind == 6:
        if _scanner is not None:
            _scanner._done = True
            _scanner._flag.set()
    elif kind == 1:
        _incoming = _connections[number] = DeviceConnection(Device(more, data))
        _incoming._conn_handle = number
        _connected.set()
    elif kind == 7:
        pending = _connecting
        if pending is not None and pending.device.addr == data:
            _connecting = None
            pending._conn_handle = number
            _connections[number] = pending
            pending._event.set()
        else:
            _call(_DISCONNECT, number)  # the one who asked has given up
    elif kind in (2, 8):
        if connection is not None:
            connection._event.set()
    elif connection is None:
        return
    elif kind == 3:
        if handle in _values:
            _values[handle]._remote_write(connection, data)
    elif kind == 21:
        connection.mtu = more
        connection._mtu_event.set()
    elif kind == 20:
        if handle in _values:
            _values[handle]._indicated.append(more)
            _values[handle]._indicate_flag.set()
    elif kind in (9, 11, 13):
        if connection._discover is not None:
            connection._discover._queue.append((handle, more, UUID(data)))
            connection._discover._flag.set()
    elif kind in (10, 12, 14):
        if connection._discover is not None:
            connection._discover._status = more
            connection._discover._flag.set()
    else:
        found = connection._characteristics.get(handle)
        if found is None:
            return
        if kind == 15:
            found._read_data = data
        elif kind == 16:
            found._read_status = more
            found._read_event.set()
        elif kind == 17:
            found._write_status = more
            found._write_event.set()
        elif kind == 18:
            found._on_notify_indicate(found._notify_queue, found._notify_event, data)


class _Ble:
    """What is left to do with `aioble.core.ble`: a connect that ran into its time-out goes on until it is cancelled."""

    def gap_connect(self, nothing):
        if nothing is not None:
            raise ValueError("connect with Device.connect()")
        _call(_CANCEL_CONNECT)


class core:
    ble = _Ble()


class _Timeout:
    """`with` it, what is awaited ends with TimeoutError, or DeviceDisconnectedError when the connection goes."""

    def __init__(self, connection, timeout_ms):
        self._connection = connection
        self._timeout_ms = timeout_ms
        self._task = asyncio.current_task()
        self._alarm = None
        self._late = False
        if connection:
            connection._timeouts.append(self)

    async def _sleep(self):
        await asyncio.sleep_ms(self._timeout_ms)
        self._late = True
        self._task.cancel()

    def __enter__(self):
        if self._timeout_ms:
            self._alarm = asyncio.create_task(self._sleep())

    def __exit__(self, kind, value, trace):
        if self._connection:
            self._connection._timeouts.remove(self)
        if self._alarm is not None and not self._late:
            self._alarm.cancel()
        if kind == asyncio.CancelledError:
            if self._late:
                raise asyncio.TimeoutError
            if self._connection and self._connection._conn_handle is None:
                raise DeviceDisconnectedError


class Device:
    def __init__(self, addr_type, addr):
        self.addr_type = addr_type
        self.addr = bytes(addr) if len(addr) == 6 else binascii.unhexlify(addr.replace(":", ""))
        self._connection = None

    def __eq__(self, other):
        return self.addr_type == other.addr_type and self.addr == other.addr

    def __hash__(self):
        return hash((self.addr_type, self.addr))

    def __str__(self):
        kind = "ADDR_RANDOM" if self.addr_type else "ADDR_PUBLIC"
        return "Device({}, {}{})".format(kind, self.addr_hex(), ", CONNECTED" if self._connection else "")

    def addr_hex(self):
        return binascii.hexlify(self.addr, ":").decode()

    async def connect(
        self, timeout_ms=10000, scan_duration_ms=None, min_conn_interval_us=None, max_conn_interval_us=None
    ):
        global _connecting
        if self._connection:
            return self._connection
        _ensure_active()
        if _scanner is not None:
            await _scanner.cancel()
        connection = _connecting = DeviceConnection(self)
        interval = (min_conn_interval_us or 0) | (max_conn_interval_us or 0) << 32
        try:
            with _Timeout(None, timeout_ms):
                _call(_CONNECT, self.addr_type, 0, interval, self.addr)
                await connection._event.wait()
        except BaseException:
            self._connection = None
            _connecting = None
            raise
        connection._run_task()
        return connection


class DeviceConnection:
    def __init__(self, device):
        self.device = device
        device._connection = self
        self.encrypted = self.authenticated = self.bonded = self.key_size = False
        self.mtu = None
        self._conn_handle = None
        self._event = _Flag()
        self._mtu_event = _Flag()
        self._discover = None
        self._characteristics = {}
        self._timeouts = []
        self._task = None

    async def _until_gone(self):
        await self._event.wait()
        _connections.pop(self._conn_handle, None)
        self._conn_handle = None
        self.device._connection = None
        for waiting in self._timeouts:
            waiting._task.cancel()

    def _run_task(self):
        self._task = asyncio.create_task(self._until_gone())

    def is_connected(self):
        return self._conn_handle is not None

    def timeout(self, timeout_ms):
        return _Timeout(self, timeout_ms)

    async def disconnect(self, timeout_ms=2000):
        await self.disconnected(timeout_ms, disconnect=True)

    async def disconnected(self, timeout_ms=None, disconnect=False):
        if not self.is_connected():
            return
        if disconnect:
            try:
                _call(_DISCONNECT, self._conn_handle)
            except OSError:
                pass
        with _Timeout(None, timeout_ms):
            await self._task

    async def exchange_mtu(self, mtu=None, timeout_ms=1000):
        if not self.is_connected():
            raise ValueError("Not connected")
        if mtu:
            config(mtu=mtu)
        _call(_EXCHANGE_MTU, self._conn_handle)
        with self.timeout(timeout_ms):
            await self._mtu_event.wait()
        return self.mtu

    async def service(self, uuid, timeout_ms=2000):
        return await _first(self.services(uuid, timeout_ms), uuid)

    def services(self, uuid=None, timeout_ms=2000):
        return _Discover(self, uuid, ClientService, self, _SERVICES, 0, 0)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, value, trace):
        await self.disconnect()


# Peripheral.


def _field(data, response, kind, value):
    """Put one field into the advertisement, or where it is full into the response; returns the response."""
    field = bytes((len(value) + 1, kind)) + value
    if len(data) + len(field) < _ADV_MAX:
        data += field
    elif len(response or b"") + len(field) < _ADV_MAX:
        response = (response or bytearray()) + field
    else:
        raise ValueError("Advertising payload too long")
    return response


async def advertise(
    interval_us,
    adv_data=None,
    resp_data=None,
    connectable=True,
    limited_disc=False,
    br_edr=False,
    name=None,
    services=None,
    appearance=0,
    manufacturer=None,
    timeout_ms=None,
):
    global _incoming
    _ensure_active()
    if not adv_data and not resp_data:
        adv_data = bytearray()
        flags = (1 if limited_disc else 2) + (0x18 if br_edr else 4)
        resp_data = _field(adv_data, resp_data, 1, bytes((flags,)))
        for size, kind in ((2, 3), (4, 5), (16, 7)):
            found = b"".join(bytes(u) for u in services or () if len(bytes(u)) == size)
            if found:
                resp_data = _field(adv_data, resp_data, kind, found)
        if name:
            resp_data = _field(adv_data, resp_data, 9, name.encode() if isinstance(name, str) else name)
        if appearance:
            resp_data = _field(adv_data, resp_data, 0x19, struct.pack("<H", appearance))
        if manufacturer:
            resp_data = _field(adv_data, resp_data, 0xFF, struct.pack("<H", manufacturer[0]) + manufacturer[1])
    adv_data = bytes(adv_data or b"")
    _call(_ADVERTISE, interval_us, len(adv_data), int(connectable), adv_data + bytes(resp_data or b""))
    try:
        with _Timeout(None, timeout_ms):
            await _connected.wait()
    except asyncio.CancelledError:
        _call(_ADVERTISE, 0)
        return None
    except asyncio.TimeoutError:
        _call(_ADVERTISE, 0)
        raise
    connection, _incoming = _incoming, None
    connection._run_task()
    return connection


# Server.


class Service:
    def __init__(self, uuid):
        self.uuid = uuid
        self.characteristics = []


class Characteristic:
    _capture = None  # writes that wait to be taken: (characteristic, connection, data)

    def __init__(
        self,
        service,
        uuid,
        read=False,
        write=False,
        write_no_response=False,
        notify=False,
        indicate=False,
        initial=None,
        capture=False,
    ):
        service.characteristics.append(self)
        self.descriptors = []
        self.uuid = uuid
        self.flags = (
            _FLAG_READ * read
            | _FLAG_WRITE * write
            | _FLAG_WRITE_NO_RESPONSE * write_no_response
            | _FLAG_NOTIFY * notify
            | _FLAG_INDICATE * indicate
        )
        self._max_len = _DEFAULT_SIZE
        self._value_handle = None
        self._initial = initial
        self._writes = write or write_no_response
        self._captures = self._writes and capture
        self._write_event = _Flag()
        self._write_data = None
        self._queue = deque((), _CAPTURED) if self._captures else None
        self._indicate_flag = _Flag()
        self._indicated = []

    def read(self):
        if self._value_handle is None:
            return self._initial or b""
        _call(_VALUE, self._value_handle, at=_data)
        return bytes(_view[: _link.size()])

    def write(self, data, send_update=False):
        if self._value_handle is None:
            self._initial = data
            return
        _call(_SET_VALUE, self._value_handle, data=bytes(data))
        if send_update and self.flags & _FLAG_NOTIFY:
            for connection in _connections.values():
                self.notify(connection, data)

    def notify(self, connection, data=None):
        if not self.flags & _FLAG_NOTIFY:
            raise ValueError("Not supported")
        _call(_NOTIFY, connection._conn_handle, self._value_handle, 0, self.read() if data is None else bytes(data))

    async def indicate(self, connection, data=None, timeout_ms=1000):
        if not self.flags & _FLAG_INDICATE:
            raise ValueError("Not supported")
        self._indicated.clear()
        with connection.timeout(timeout_ms):
            _call(
                _NOTIFY, connection._conn_handle, self._value_handle, 1, self.read() if data is None else bytes(data)
            )
            await self._indicate_flag.wait()
            if self._indicated.pop():
                raise GattError(1)

    async def written(self, timeout_ms=None):
        if not self._writes:
            return None
        if not self._captures:
            with _Timeout(None, timeout_ms):
                await self._write_event.wait()
            data, self._write_data = self._write_data, None
            return data
        if not self._queue:
            with _Timeout(None, timeout_ms):
                while not self._queue:
                    await self._write_event.wait()
        return self._queue.popleft()

    def _remote_write(self, connection, data):
        if self._captures:
            self._queue.append((connection, data))
        else:
            self._write_data = connection
        self._write_event.set()


class BufferedCharacteristic(Characteristic):
    def __init__(self, *args, max_len=20, append=False, **kwargs):
        if append:
            raise ValueError("append is not modelled")
        super().__init__(*args, **kwargs)
        self._max_len = max_len


def register_services(*services):
    _ensure_active()
    _values.clear()
    asked = [
        (_hex(s.uuid), [(_hex(c.uuid), c.flags & 0x3E, c._max_len) for c in s.characteristics]) for s in services
    ]
    _call(_REGISTER, data=json.dumps(asked).encode(), at=_data)
    handles = struct.unpack("<%dH" % (_link.size() // 2), bytes(_view[: _link.size()]))
    characteristics = [c for s in services for c in s.characteristics]
    for characteristic, handle in zip(characteristics, handles):
        characteristic._value_handle = handle
        _values[handle] = characteristic
        if characteristic._initial is not None:
            characteristic.write(characteristic._initial)
            characteristic._initial = None


def _hex(uuid):
    return binascii.hexlify(bytes(uuid)).decode()


# Central.


class ScanResult:
    def __init__(self, device):
        self.device = device
        self.adv_data = self.resp_data = self.rssi = None
        self.connectable = False

    def __str__(self):
        return "Scan result: {} {}".format(self.device, self.rssi)

    def _update(self, kind, rssi, data):
        changed = rssi != self.rssi
        self.rssi = rssi
        if kind == 4:
            changed |= bool(data) and data != self.resp_data
            self.resp_data = data or self.resp_data
        else:
            changed |= data != self.adv_data
            self.adv_data = data
            self.connectable = kind == 0
        return changed

    def _fields(self, *kinds):
        for payload in (self.adv_data, self.resp_data):
            at = 0
            while payload and at + 1 < len(payload):
                if payload[at + 1] in kinds:
                    yield payload[at + 2 : at + payload[at] + 1]
                at += 1 + payload[at]

    def name(self):
        for name in self._fields(9, 8):
            return str(name, "utf-8")

    def services(self):
        for size, kinds in ((2, (2, 3)), (4, (4, 5)), (16, (6, 7))):
            for found in self._fields(*kinds):
                for at in range(0, len(found) - size + 1, size):
                    yield UUID(found[at : at + size])

    def manufacturer(self, filter=None):
        for found in self._fields(0xFF):
            if len(found) >= 2:
                company = found[0] | found[1] << 8
                if filter in (None, company):
                    yield company, found[2:]


class scan:
    def __init__(self, duration_ms, interval_us=None, window_us=None, active=False):
        self._duration_ms = duration_ms
        self._interval_us = interval_us or 1280000
        self._window_us = window_us or 11250
        self._active = active
        self._queue = []
        self._flag = _Flag()
        self._done = False
        self._results = {}

    def _heard(self, kind, address, event, rssi, data):
        self._queue.append((kind, address, event, rssi, data))
        self._flag.set()

    async def __aenter__(self):
        global _scanner
        _ensure_active()
        if _scanner is not None:
            await _scanner.cancel()
        _scanner = self
        _call(_SCAN, self._duration_ms, self._interval_us, self._window_us << 1 | bool(self._active))
        return self

    async def __aexit__(self, kind, value, trace):
        if _scanner is self:
            await self.cancel()

    def __aiter__(self):
        return self

    async def __anext__(self):
        global _scanner
        if _scanner is not self:
            raise StopAsyncIteration
        while True:
            while self._queue:
                kind, address, event, rssi, data = self._queue.pop()
                result = self._results.get((kind, address))
                if result is None:
                    result = self._results[kind, address] = ScanResult(Device(kind, address))
                if result._update(event, rssi, data):
                    return result
            if self._done:
                _scanner = None
                raise StopAsyncIteration
            await self._flag.wait()

    async def cancel(self):
        global _scanner
        if self._done:
            return
        _call(_SCAN, -1)
        while not self._done:
            await self._flag.wait()
        _scanner = None


# Client.


class _Discover:
    """Iterates over what a GATT discovery brings; let it run to its end."""

    def __init__(self, connection, uuid, kind, parent, verb, start, end):
        self._connection = connection
        self._uuid = uuid
        self._kind = kind
        self._parent = parent
        self._what = (verb, start, end)
        self._queue = []
        self._status = None
        self._flag = _Flag()

    def __aiter__(self):
        return self

    async def __anext__(self):
        connection = self._connection
        if connection._discover is not self:
            if connection._discover is not None:
                raise ValueError("Discovery in progress")
            verb, start, end = self._what
            connection._discover = self
            _call(verb, connection._conn_handle, start, end)
        while True:
            while self._queue:
                handle, more, uuid = self._queue.pop()
                if self._uuid in (None, uuid):
                    return self._kind(self._parent, handle, more, uuid)
            if self._status is not None:
                connection._discover = None
                raise StopAsyncIteration
            await self._flag.wait()


async def _first(found, uuid):
    result = None
    async for one in found:
        if result is None and one.uuid == uuid:
            result = one
    return result


class ClientService:
    def __init__(self, connection, _handle, ends, uuid):
        self.connection = connection
        self.uuid = uuid
        self._start_handle = ends & 0xFFFF
        self._end_handle = ends >> 16

    async def characteristic(self, uuid, timeout_ms=2000):
        return await _first(self.characteristics(uuid, timeout_ms), uuid)

    def characteristics(self, uuid=None, timeout_ms=2000):
        ends = (self._start_handle, self._end_handle)
        return _Discover(self.connection, uuid, ClientCharacteristic, self, _CHARACTERISTICS, *ends)


class _Remote:
    """A value on the peer: a characteristic's or a descriptor's."""

    def __init__(self, connection, handle, properties, uuid):
        self._link = connection
        self._value_handle = handle
        self.properties = properties
        self.uuid = uuid
        self._read_data = self._read_status = self._write_status = None
        self._read_event = _Flag()
        self._write_event = _Flag()

    def _check(self, flags):
        if not self.properties & flags:
            raise ValueError("Unsupported")

    def _register_with_connection(self):
        self._link._characteristics[self._value_handle] = self

    async def read(self, timeout_ms=1000):
        self._check(_FLAG_READ)
        self._register_with_connection()
        _call(_READ, self._link._conn_handle, self._value_handle)
        with self._link.timeout(timeout_ms):
            await self._read_event.wait()
            if self._read_status:
                raise GattError(self._read_status)
            return self._read_data

    async def write(self, data, response=None, timeout_ms=1000):
        self._check(_FLAG_WRITE | _FLAG_WRITE_NO_RESPONSE)
        if response is None:
            response = self.properties & _FLAG_WRITE and not self.properties & _FLAG_WRITE_NO_RESPONSE
        self._register_with_connection()
        _call(_WRITE, self._link._conn_handle, self._value_handle, int(bool(response)), bytes(data))
        if response:
            with self._link.timeout(timeout_ms):
                await self._write_event.wait()
                if self._write_status:
                    raise GattError(self._write_status)


class ClientCharacteristic(_Remote):
    def __init__(self, service, handle, about, uuid):
        super().__init__(service.connection, handle, about >> 16, uuid)
        self.service = service
        self._end_handle = about & 0xFFFF
        self._notify_event = _Flag()
        self._notify_queue = deque((), 1)

    def _connection(self):
        return self._link

    def descriptors(self, timeout_ms=2000):
        start = self._value_handle + 1
        return _Discover(self._link, None, ClientDescriptor, self, _DESCRIPTORS, start, self._end_handle)

    async def descriptor(self, uuid, timeout_ms=2000):
        return await _first(self.descriptors(timeout_ms), uuid)

    async def subscribe(self, notify=True, indicate=False):
        self._register_with_connection()
        descriptor = await self.descriptor(UUID(_CCCD))
        if descriptor is None:
            raise ValueError("CCCD not found")
        await descriptor.write(struct.pack("<H", 1 * notify + 2 * indicate))

    async def notified(self, timeout_ms=None):
        self._check(_FLAG_NOTIFY)
        self._register_with_connection()
        queue = self._notify_queue
        if len(queue) <= 1:  # as in aioble: a last one is waited for too, which clears its flag
            with self._link.timeout(timeout_ms):
                await self._notify_event.wait()
        return queue.popleft()

    def _on_notify_indicate(self, queue, event, data):
        wake = len(queue) == 0
        queue.append(data)  # the latest: the queue holds one
        if wake:
            event.set()


class ClientDescriptor(_Remote):
    def __init__(self, characteristic, handle, _more, uuid):
        super().__init__(characteristic._link, handle, _FLAG_READ | _FLAG_WRITE, uuid)
        self.characteristic = characteristic
