"""The peripheral's side: advertising, and the values that this board serves."""

import asyncio
import binascii
import json
import struct
from collections import deque

from micropython import const

from . import core
from .core import Flag, GattError, Timeout, answer, call, data, ensure_active
from .device import Device, DeviceConnection

_REGISTER = const(4)
_SET_VALUE = const(5)
_VALUE = const(6)
_NOTIFY = const(7)
_ADVERTISE = const(8)

_FLAG_READ = const(0x02)
_FLAG_WRITE_NO_RESPONSE = const(0x04)
_FLAG_WRITE = const(0x08)
_FLAG_NOTIFY = const(0x10)
_FLAG_INDICATE = const(0x20)
_CAPTURED = const(10)  # writes that wait for `written` at most
_DEFAULT_SIZE = const(20)
_ADV_MAX = const(31)

_values = {}  # handle -> Characteristic
_incoming = None  # a connection that advertise() has yet to return
_connected = Flag()


def _on_central(_connection, number, _handle, kind, address):
    global _incoming
    _incoming = core.connections[number] = DeviceConnection(Device(kind, address))
    _incoming._conn_handle = number
    _connected.set()


def _on_write(connection, _number, handle, _more, written):
    if connection is not None and handle in _values:
        _values[handle]._remote_write(connection, written)


def _on_indicated(connection, _number, handle, status, _data):
    if connection is not None and handle in _values:
        _values[handle]._indicated.append(status)
        _values[handle]._indicate_flag.set()


def _shutdown():
    global _incoming
    _incoming = None
    _values.clear()


core.handlers[1] = _on_central
core.handlers[3] = _on_write
core.handlers[20] = _on_indicated
core.shutdowns.append(_shutdown)


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
    ensure_active()
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
    call(_ADVERTISE, interval_us, len(adv_data), int(connectable), adv_data + bytes(resp_data or b""))
    try:
        with Timeout(None, timeout_ms):
            await _connected.wait()
    except asyncio.CancelledError:
        call(_ADVERTISE, 0)
        return None
    except asyncio.TimeoutError:
        call(_ADVERTISE, 0)
        raise
    connection, _incoming = _incoming, None
    connection._run_task()
    return connection


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
        self._write_event = Flag()
        self._write_data = None
        self._queue = deque((), _CAPTURED) if self._captures else None
        self._indicate_flag = Flag()
        self._indicated = []

    def read(self):
        if self._value_handle is None:
            return self._initial or b""
        call(_VALUE, self._value_handle, at=data)
        return answer()

    def write(self, data, send_update=False):
        if self._value_handle is None:
            self._initial = data
            return
        call(_SET_VALUE, self._value_handle, payload=bytes(data))
        if send_update and self.flags & _FLAG_NOTIFY:
            for connection in core.connections.values():
                self.notify(connection, data)

    def notify(self, connection, data=None):
        if not self.flags & _FLAG_NOTIFY:
            raise ValueError("Not supported")
        call(_NOTIFY, connection._conn_handle, self._value_handle, 0, self.read() if data is None else bytes(data))

    async def indicate(self, connection, data=None, timeout_ms=1000):
        if not self.flags & _FLAG_INDICATE:
            raise ValueError("Not supported")
        self._indicated.clear()
        with connection.timeout(timeout_ms):
            call(_NOTIFY, connection._conn_handle, self._value_handle, 1, self.read() if data is None else bytes(data))
            await self._indicate_flag.wait()
            if self._indicated.pop():
                raise GattError(1)

    async def written(self, timeout_ms=None):
        if not self._writes:
            return None
        if not self._captures:
            with Timeout(None, timeout_ms):
                await self._write_event.wait()
            data, self._write_data = self._write_data, None
            return data
        if not self._queue:
            with Timeout(None, timeout_ms):
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
    ensure_active()
    _values.clear()
    asked = [(_hex(s.uuid), [(_hex(c.uuid), c.flags & 0x3E, c._max_len) for c in s.characteristics]) for s in services]
    call(_REGISTER, payload=json.dumps(asked).encode(), at=data)
    handles = answer()
    handles = struct.unpack("<%dH" % (len(handles) // 2), handles)
    characteristics = [c for s in services for c in s.characteristics]
    for characteristic, handle in zip(characteristics, handles):
        characteristic._value_handle = handle
        _values[handle] = characteristic
        if characteristic._initial is not None:
            characteristic.write(characteristic._initial)
            characteristic._initial = None


def _hex(uuid):
    return binascii.hexlify(bytes(uuid)).decode()
