"""The central's side: scanning, and the values that a peer serves."""

import struct
from collections import deque

from bluetooth import UUID
from micropython import const

from . import core
from .core import Flag, GattError, call, ensure_active
from .device import Device

_SCAN = const(9)
_SERVICES = const(12)
_CHARACTERISTICS = const(13)
_DESCRIPTORS = const(14)
_READ = const(15)
_WRITE = const(16)

_FLAG_READ = const(0x02)
_FLAG_WRITE_NO_RESPONSE = const(0x04)
_FLAG_WRITE = const(0x08)
_FLAG_NOTIFY = const(0x10)
_CCCD = const(0x2902)

_scanner = None


def _on_report(_connection, kind, event, rssi, found):
    if _scanner is not None:
        _scanner._heard(kind, found[:6], event, rssi - 256 if rssi > 127 else rssi, found[6:])


def _on_scanned(_connection, _number, _handle, _more, _data):
    if _scanner is not None:
        _scanner._done = True
        _scanner._flag.set()


def _on_found(connection, _number, handle, more, uuid):
    if connection is not None and connection._discover is not None:
        connection._discover._queue.append((handle, more, UUID(uuid)))
        connection._discover._flag.set()


def _on_discovered(connection, _number, _handle, status, _data):
    if connection is not None and connection._discover is not None:
        connection._discover._status = status
        connection._discover._flag.set()


def _value(connection, handle):
    return None if connection is None else connection._characteristics.get(handle)


def _on_read(connection, _number, handle, _more, read):
    value = _value(connection, handle)
    if value is not None:
        value._read_data = read


def _on_read_done(connection, _number, handle, status, _data):
    value = _value(connection, handle)
    if value is not None:
        value._read_status = status
        value._read_event.set()


def _on_written(connection, _number, handle, status, _data):
    value = _value(connection, handle)
    if value is not None:
        value._write_status = status
        value._write_event.set()


def _on_notified(connection, _number, handle, _more, notified):
    value = _value(connection, handle)
    if value is not None:
        value._on_notify_indicate(value._notify_queue, value._notify_event, notified)


def _shutdown():
    global _scanner
    _scanner = None


core.handlers[5] = _on_report
core.handlers[6] = _on_scanned
core.handlers[9] = core.handlers[11] = core.handlers[13] = _on_found
core.handlers[10] = core.handlers[12] = core.handlers[14] = _on_discovered
core.handlers[15] = _on_read
core.handlers[16] = _on_read_done
core.handlers[17] = _on_written
core.handlers[18] = _on_notified
core.shutdowns.append(_shutdown)


async def cancel_scan():
    """End the scan that runs, if one does: the radio scans or connects."""
    if _scanner is not None:
        await _scanner.cancel()


def discover_services(connection, uuid):
    return _Discover(connection, uuid, ClientService, connection, _SERVICES, 0, 0)


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
        self._flag = Flag()
        self._done = False
        self._results = {}

    def _heard(self, kind, address, event, rssi, data):
        self._queue.append((kind, address, event, rssi, data))
        self._flag.set()

    async def __aenter__(self):
        global _scanner
        ensure_active()
        await cancel_scan()
        _scanner = self
        call(_SCAN, self._duration_ms, self._interval_us, self._window_us << 1 | bool(self._active))
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
        call(_SCAN, -1)
        while not self._done:
            await self._flag.wait()
        _scanner = None


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
        self._flag = Flag()

    def __aiter__(self):
        return self

    async def __anext__(self):
        connection = self._connection
        if connection._discover is not self:
            if connection._discover is not None:
                raise ValueError("Discovery in progress")
            verb, start, end = self._what
            connection._discover = self
            call(verb, connection._conn_handle, start, end)
        while True:
            while self._queue:
                handle, more, uuid = self._queue.pop()
                if self._uuid in (None, uuid):
                    return self._kind(self._parent, handle, more, uuid)
            if self._status is not None:
                connection._discover = None
                raise StopAsyncIteration
            await self._flag.wait()


async def first(found, uuid):
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
        return await first(self.characteristics(uuid, timeout_ms), uuid)

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
        self._read_event = Flag()
        self._write_event = Flag()

    def _check(self, flags):
        if not self.properties & flags:
            raise ValueError("Unsupported")

    def _register_with_connection(self):
        self._link._characteristics[self._value_handle] = self

    async def read(self, timeout_ms=1000):
        self._check(_FLAG_READ)
        self._register_with_connection()
        call(_READ, self._link._conn_handle, self._value_handle)
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
        call(_WRITE, self._link._conn_handle, self._value_handle, int(bool(response)), bytes(data))
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
        self._notify_event = Flag()
        self._notify_queue = deque((), 1)

    def _connection(self):
        return self._link

    def descriptors(self, timeout_ms=2000):
        start = self._value_handle + 1
        return _Discover(self._link, None, ClientDescriptor, self, _DESCRIPTORS, start, self._end_handle)

    async def descriptor(self, uuid, timeout_ms=2000):
        return await first(self.descriptors(timeout_ms), uuid)

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
