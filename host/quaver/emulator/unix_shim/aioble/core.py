"""The stand-in's line to the host's radio: commands, events, and the time limits of what is awaited.

Commands are numbered as in host/quaver/emulator/radio/guest.py, events as the interrupts of `bluetooth.BLE`.
"""

import asyncio
import select as _select
from asyncio import core as _core

import quaver_link as _link
from micropython import const

ACTIVE = const(1)
_MTU = const(2)
_NEXT = const(3)
_CANCEL_CONNECT = const(18)
_ADDR_PUBLIC = const(0)

data = bytearray(8192)  # of the last answer
_view = memoryview(data)
connections = {}  # number -> DeviceConnection
handlers = {}  # event -> what it is handed to: (connection or None, number, handle, more, data)
shutdowns = []  # called when the radio goes off
_irqs = []
_on = False
_mtu = 256
_address = None


class GattError(Exception):
    def __init__(self, status):
        self._status = status


class DeviceDisconnectedError(Exception):
    pass


class Flag:
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


def call(verb, b=0, c=0, d=0, payload=b"", at=None):
    return _link.call(_link.RADIO, verb, b, c, d, payload, 0, len(payload), at)


def answer():
    """The bytes that the last `call(…, at=data)` brought."""
    return bytes(_view[: _link.size()])


def ensure_active():
    global _on, _address
    if not _on:
        _select.on_radio = _on_radio
        _address = bytearray(6)
        call(ACTIVE, 1, at=_address)
        _on = True


def config(*what, **settings):
    """config(mtu=…) sets, config("mtu") and config("mac") ask."""
    global _mtu
    ensure_active()
    if "mtu" in settings:
        _mtu = settings["mtu"]
        call(_MTU, _mtu)
    if what:
        return (_ADDR_PUBLIC, bytes(_address)) if what[0] == "mac" else {"mtu": _mtu}[what[0]]


def stop():
    global _on
    if _on:
        call(ACTIVE, 0, at=data)
        _on = False
    _select.on_radio = None
    connections.clear()
    for shutdown in shutdowns:
        shutdown()


def _on_radio():
    """Fetch the events there are and hand each to whom it concerns."""
    while _link.event():
        value = call(_NEXT, at=data)
        if not value:
            return
        event, number, more = value & 0xFF, value >> 8 & 0xFFFF, _link.more()
        handler = handlers.get(event)
        if handler is not None:
            handler(connections.get(number), number, value >> 24, more, answer())
        for irq in _irqs:
            irq(event, (number, more))


def register_irq_handler(irq, shutdown):
    """irq(event, data): data begins as that of `bluetooth.BLE` does for events of a connection."""
    _irqs.append(irq)
    if shutdown:
        shutdowns.append(shutdown)


class _Ble:
    """What is left to do with `aioble.core.ble`: a connect that ran into its time-out goes on until it is cancelled.

    Advertising ends with the connection that came of it.
    """

    def gap_connect(self, nothing):
        if nothing is not None:
            raise ValueError("connect with Device.connect()")
        call(_CANCEL_CONNECT)

    def gap_advertise(self, nothing):
        if nothing is not None:
            raise ValueError("advertise with advertise()")


ble = _Ble()


class Timeout:
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
