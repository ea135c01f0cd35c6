"""Peers and the connections to them."""

import asyncio
import binascii

from micropython import const

from . import core
from .core import DeviceDisconnectedError, Flag, Timeout, call, ensure_active  # noqa: F401

_CONNECT = const(10)
_DISCONNECT = const(11)
_EXCHANGE_MTU = const(17)

_connecting = None  # the connection that waits for its first event


def _on_connect(_connection, number, _handle, _kind, address):
    global _connecting
    pending = _connecting
    if pending is not None and pending.device.addr == address:
        _connecting = None
        pending._conn_handle = number
        core.connections[number] = pending
        pending._event.set()
    else:
        call(_DISCONNECT, number)  # the one who asked has given up


def _on_disconnect(connection, _number, _handle, _kind, _address):
    if connection is not None:
        connection._event.set()


def _on_mtu(connection, _number, _handle, mtu, _data):
    if connection is not None:
        connection.mtu = mtu
        connection._mtu_event.set()


def _shutdown():
    global _connecting
    _connecting = None


core.handlers[7] = _on_connect
core.handlers[2] = core.handlers[8] = _on_disconnect
core.handlers[21] = _on_mtu
core.shutdowns.append(_shutdown)


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
        ensure_active()
        from .central import cancel_scan

        await cancel_scan()
        connection = _connecting = DeviceConnection(self)
        interval = (min_conn_interval_us or 0) | (max_conn_interval_us or 0) << 32
        try:
            with Timeout(None, timeout_ms):
                call(_CONNECT, self.addr_type, 0, interval, self.addr)
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
        self._event = Flag()
        self._mtu_event = Flag()
        self._discover = None
        self._characteristics = {}
        self._timeouts = []
        self._task = None

    async def _until_gone(self):
        await self._event.wait()
        core.connections.pop(self._conn_handle, None)
        self._conn_handle = None
        self.device._connection = None
        for waiting in self._timeouts:
            waiting._task.cancel()

    def _run_task(self):
        self._task = asyncio.create_task(self._until_gone())

    def is_connected(self):
        return self._conn_handle is not None

    def timeout(self, timeout_ms):
        return Timeout(self, timeout_ms)

    async def disconnect(self, timeout_ms=2000):
        await self.disconnected(timeout_ms, disconnect=True)

    async def disconnected(self, timeout_ms=None, disconnect=False):
        if not self.is_connected():
            return
        if disconnect:
            try:
                call(_DISCONNECT, self._conn_handle)
            except OSError:
                pass
        with Timeout(None, timeout_ms):
            await self._task

    async def exchange_mtu(self, mtu=None, timeout_ms=1000):
        if not self.is_connected():
            raise ValueError("Not connected")
        if mtu:
            core.config(mtu=mtu)
        call(_EXCHANGE_MTU, self._conn_handle)
        with self.timeout(timeout_ms):
            await self._mtu_event.wait()
        return self.mtu

    async def service(self, uuid, timeout_ms=2000):
        from .central import first

        return await first(self.services(uuid, timeout_ms), uuid)

    def services(self, uuid=None, timeout_ms=2000):
        from .central import discover_services

        return discover_services(self, uuid)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, value, trace):
        await self.disconnect()
