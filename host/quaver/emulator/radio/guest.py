"""The unix board's Bluetooth: what its `aioble` asks for, done by a Bumble device in the air.

The guest asks over its link, one command at a time, and gets what happens as events, numbered as the interrupts of
MicroPython's `bluetooth.BLE`. A command that takes time on the air returns at once, and an event tells its end.
The numbers of the commands stand here and in unix_shim/aioble/.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from bumble import att, gatt, gatt_client, hci
from bumble.core import UUID, BaseError
from bumble.core import TimeoutError as BumbleTimeout
from bumble.device import AdvertisingType, Connection, ConnectionParametersPreferences, Device

from quaver.emulator.radio.air import Air
from quaver.errors import RadioError

(
    _ACTIVE,
    _MTU,
    _NEXT,
    _REGISTER,
    _SET_VALUE,
    _VALUE,
    _NOTIFY,
    _ADVERTISE,
    _SCAN,
    _CONNECT,
    _DISCONNECT,
    _SERVICES,
    _CHARACTERISTICS,
    _DESCRIPTORS,
    _READ,
    _WRITE,
    _EXCHANGE_MTU,
    _CANCEL_CONNECT,
) = range(1, 19)
_CENTRAL_CONNECT, _CENTRAL_DISCONNECT, _GATTS_WRITE = 1, 2, 3
_SCAN_RESULT, _SCAN_DONE, _PERIPHERAL_CONNECT, _PERIPHERAL_DISCONNECT = 5, 6, 7, 8
_SERVICE_RESULT, _SERVICE_DONE, _CHARACTERISTIC_RESULT, _CHARACTERISTIC_DONE = 9, 10, 11, 12
_DESCRIPTOR_RESULT, _DESCRIPTOR_DONE = 13, 14
_READ_RESULT, _READ_DONE, _WRITE_DONE, _NOTIFIED, _INDICATED, _INDICATE_DONE, _MTU_EXCHANGED = (
    15,
    16,
    17,
    18,
    19,
    20,
    21,
)

_NO_CONNECTION = 0xFFFF
_FAILED = 1
_MAX_EVENTS = 1024
_MAX_SCAN_RESULTS = 64  # of those: what the guest does not fetch in time is not heard
_DEFAULT_MTU = 256  # BTstack's, as the Pico W is built
_INTERVAL_MS = (30, 50)  # MicroPython's own choice when the caller makes none
_PROPERTIES = 0x3E  # read, write without response, write, notify, indicate


class GuestRadio:
    """name, address: the station. on_event: called in the air's thread when there is an event to fetch."""

    def __init__(self, air: Air, name: str, address: bytes, on_event: Callable[[], None]) -> None:
        self._air = air
        self._name = name
        self._address = address
        self._on_event = on_event
        self._events: deque[tuple[int, int, int, int, bytes]] = deque()
        self._scan_results = 0
        self._device: Device | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._scan_end: asyncio.TimerHandle | None = None
        self._mtu = _DEFAULT_MTU
        self._values: dict[int, _Value] = {}
        self._own_attributes = 0

    # From the board's thread.

    @property
    def pending(self) -> bool:
        return bool(self._events)

    def command(self, verb: int, b: int, c: int, d: int, data: bytes) -> tuple[int, int, int, bytes]:
        """Do one command; returns (errno or 0, value, second value, data)."""
        if verb == _NEXT:
            if not self._events:
                return 0, 0, 0, b""
            kind, connection, handle, more, payload = self._events.popleft()
            if kind == _SCAN_RESULT:
                self._scan_results -= 1
            return 0, kind | connection << 8 | handle << 24, more, payload
        return self._air.run(self._do(verb, b, c, d, data))

    def power_off(self) -> None:
        """The board was reset or stopped: its station leaves the air without a word."""
        self._events.clear()
        self._scan_results = 0
        with contextlib.suppress(RadioError):  # the air may be gone already
            self._air._call(self._power_off)

    # In the air's thread.

    def _power_off(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._scan_end is not None:
            self._scan_end.cancel()
        if self._device is not None:
            self._air._remove(self._device.host.controller)  # type: ignore[arg-type]
        self._device = None
        self._values.clear()
        self._mtu = _DEFAULT_MTU
        self._events.clear()

    def _tell(self, kind: int, connection: int = 0, handle: int = 0, more: int = 0, data: bytes = b"") -> None:
        if len(self._events) >= _MAX_EVENTS:
            return
        if kind == _SCAN_RESULT:
            if self._scan_results >= _MAX_SCAN_RESULTS:
                return
            self._scan_results += 1
        self._events.append((kind, connection, handle, more, data))
        self._on_event()

    async def _do(self, verb: int, b: int, c: int, d: int, data: bytes) -> tuple[int, int, int, bytes]:
        value, answer = 0, b""
        if verb == _ACTIVE:
            if b and self._device is None:
                await self._power_on()
            elif not b:
                self._power_off()
            return 0, int(self._device is not None), 0, self._address
        device = self._device
        if device is None:
            return 19, 0, 0, b""  # ENODEV, as MicroPython has it for a radio that is off
        if verb == _MTU:
            self._mtu = b
            device.gatt_server.max_mtu = b
        elif verb == _REGISTER:
            answer = self._register(device, json.loads(data))
        elif verb == _SET_VALUE:
            self._values[b].data = data
        elif verb == _VALUE:
            answer = self._values[b].data
        elif verb == _ADVERTISE:
            await self._advertise(device, b, d, data[:c], data[c:])
        elif verb == _SCAN:
            await self._scan(device, b, c, d)
        elif verb == _CONNECT:
            if device.is_le_connecting:
                return 114, 0, 0, b""  # EALREADY: as BTstack, which tries until it is told to stop
            self._start(self._connect(device, b, d, data))
        elif verb == _CANCEL_CONNECT:
            if device.is_le_connecting:
                await device.send_command(hci.HCI_LE_Create_Connection_Cancel_Command())
        else:
            connection = device.connections.get(b)
            if connection is None:
                return 107, 0, 0, b""  # ENOTCONN
            self._on_connection(device, connection, verb, c, d, data)
        return 0, value, 0, answer

    def _on_connection(self, device: Device, connection: Connection, verb: int, c: int, d: int, data: bytes) -> None:
        client = connection.gatt_client
        number = connection.handle
        if verb == _NOTIFY:
            if d:
                self._start(self._indicate(device, connection, c, data))
            else:
                pdu = att.ATT_Handle_Value_Notification(
                    attribute_handle=c, attribute_value=data[: connection.att_mtu - 3]
                )
                device.gatt_server.send_gatt_pdu(connection, bytes(pdu))
        elif verb == _DISCONNECT:
            self._start(self._end(connection))
        elif verb == _SERVICES:
            self._start(self._ask(number, 0, _SERVICE_DONE, self._services(number, client)))
        elif verb == _CHARACTERISTICS:
            self._start(self._ask(number, 0, _CHARACTERISTIC_DONE, self._characteristics(number, client, c, d)))
        elif verb == _DESCRIPTORS:
            self._start(self._ask(number, 0, _DESCRIPTOR_DONE, self._descriptors(number, client, c, d)))
        elif verb == _READ:
            self._start(self._ask(number, c, _READ_DONE, self._read(number, client, c)))
        elif verb == _WRITE:
            if d:
                self._start(self._ask(number, c, _WRITE_DONE, client.write_value(c, data, True)))
            else:
                pdu2 = att.ATT_Write_Command(attribute_handle=c, attribute_value=data)
                client.send_gatt_pdu(bytes(pdu2))
        elif verb == _EXCHANGE_MTU:
            self._start(self._exchange_mtu(connection))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _power_on(self) -> None:
        device = self._device = await self._air.make_device(self._name, self._address)
        device.gatt_server.max_mtu = self._mtu
        self._own_attributes = len(device.gatt_server.attributes)
        device.on(Device.EVENT_CONNECTION, self._on_connected)
        device.host.on("advertising_report", self._on_report)

    # Peripheral.

    def _register(self, device: Device, services: list[Any]) -> bytes:
        """Put the services in place of those before; returns the values' handles."""
        server = device.gatt_server
        for attribute in server.attributes[self._own_attributes :]:
            server.attributes_by_handle.pop(attribute.handle, None)
        del server.attributes[self._own_attributes :]
        self._values.clear()
        handles = b""
        for uuid, characteristics in services:
            made = [_Value(self, _uuid(its), flags, size) for its, flags, size in characteristics]
            device.add_service(gatt.Service(_uuid(uuid), [value.characteristic for value in made]))
            for value in made:
                handle = value.characteristic.handle
                self._values[handle] = value
                handles += struct.pack("<H", handle)
        return handles

    async def _advertise(
        self, device: Device, interval_us: int, connectable: int, data: bytes, response: bytes
    ) -> None:
        await device.stop_advertising()
        if not interval_us:
            return
        kind = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE if connectable else AdvertisingType.UNDIRECTED
        await device.start_advertising(
            kind,
            own_address_type=hci.OwnAddressType.PUBLIC,
            advertising_data=data,
            scan_response_data=response,
            advertising_interval_min=interval_us / 1000,
            advertising_interval_max=interval_us / 1000,
        )

    def _on_connected(self, connection: Connection) -> None:
        central = connection.role == hci.Role.CENTRAL
        peer = connection.peer_address
        where = bytes(peer)[::-1]
        number = connection.handle
        kind = int(not peer.is_public)

        def gone(_reason: int) -> None:
            self._tell(_PERIPHERAL_DISCONNECT if central else _CENTRAL_DISCONNECT, number, 0, kind, where)

        connection.on(Connection.EVENT_DISCONNECTION, gone)
        client = connection.gatt_client
        client.on_att_handle_value_notification = (  # type: ignore[method-assign]
            lambda notification: self._tell(
                _NOTIFIED, number, notification.attribute_handle, 0, notification.attribute_value
            )
        )
        if not central:
            connection.on(
                Connection.EVENT_CONNECTION_ATT_MTU_UPDATE,
                lambda: self._tell(_MTU_EXCHANGED, number, 0, connection.att_mtu),
            )
        self._tell(_PERIPHERAL_CONNECT if central else _CENTRAL_CONNECT, number, 0, kind, where)

    def written(self, connection: Connection, handle: int, data: bytes) -> None:
        self._tell(_GATTS_WRITE, connection.handle, handle, 0, data)

    async def _indicate(self, device: Device, connection: Connection, handle: int, data: bytes) -> None:
        status = 0
        try:
            await device.gatt_server.indicate_subscriber(
                connection, self._values[handle].characteristic, data, force=True
            )
        except (BaseError, TimeoutError):
            status = _FAILED
        self._tell(_INDICATE_DONE, connection.handle, handle, status)

    # Central.

    async def _scan(self, device: Device, duration_ms: int, interval_us: int, window_and_active: int) -> None:
        if self._scan_end is not None:
            self._scan_end.cancel()
            self._scan_end = None
        was_on = device.is_scanning
        if was_on:
            await device.stop_scanning(legacy=True)
        if duration_ms < 0:
            if was_on:
                self._tell(_SCAN_DONE)
            return
        await device.start_scanning(
            legacy=True,
            active=bool(window_and_active & 1),
            scan_interval=interval_us / 1000,
            scan_window=min(window_and_active >> 1, interval_us) / 1000,
            own_address_type=hci.OwnAddressType.PUBLIC,
        )
        if duration_ms:
            loop = asyncio.get_running_loop()
            self._scan_end = loop.call_later(duration_ms / 1000, lambda: self._start(self._scan(device, -1, 0, 0)))

    def _on_report(self, report: Any) -> None:
        self._tell(
            _SCAN_RESULT,
            int(not report.address.is_public),
            int(report.event_type),
            report.rssi & 0xFF,
            bytes(report.address)[::-1] + bytes(report.data),
        )

    async def _connect(self, device: Device, kind: int, interval: int, address: bytes) -> None:
        peer = hci.Address(address[::-1], hci.AddressType(kind))
        low, high = interval & 0xFFFFFFFF, interval >> 32
        wanted = ConnectionParametersPreferences(
            connection_interval_min=low / 1000 or _INTERVAL_MS[0],
            connection_interval_max=max(high, low) / 1000 or _INTERVAL_MS[1],
        )
        try:
            await device.connect(
                peer,
                connection_parameters_preferences={hci.Phy.LE_1M: wanted},
                own_address_type=hci.OwnAddressType.PUBLIC,
            )
        except (BaseError, BumbleTimeout, TimeoutError):
            self._tell(_PERIPHERAL_DISCONNECT, _NO_CONNECTION, 0, kind, address)

    async def _end(self, connection: Connection) -> None:
        try:
            await connection.disconnect()
        except (BaseError, TimeoutError):
            return  # it was gone already, which has its own event

    async def _ask(self, number: int, handle: int, done: int, work: Coroutine[Any, Any, None]) -> None:
        """Await a GATT procedure, then tell that it is done, and whether it failed."""
        status = 0
        try:
            await work
        except (BaseError, TimeoutError) as error:
            status = getattr(error, "error_code", None) or _FAILED
        self._tell(done, number, handle, status)

    async def _services(self, number: int, client: gatt_client.Client) -> None:
        for service in await client.discover_services():
            ends = service.handle | service.end_group_handle << 16
            self._tell(_SERVICE_RESULT, number, 0, ends, service.uuid.uuid_bytes)

    async def _characteristics(self, number: int, client: gatt_client.Client, start: int, end: int) -> None:
        service = gatt_client.ServiceProxy(client, start, end, UUID.from_16_bits(0x1800))  # type: ignore[no-untyped-call]
        for found in await client.discover_characteristics((), service):
            about = found.end_group_handle | int(found.properties) << 16
            self._tell(_CHARACTERISTIC_RESULT, number, found.handle, about, found.uuid.uuid_bytes)

    async def _descriptors(self, number: int, client: gatt_client.Client, start: int, end: int) -> None:
        if start > end:
            return
        for found in await client.discover_descriptors(start_handle=start, end_handle=end):
            self._tell(_DESCRIPTOR_RESULT, number, found.handle, 0, found.type.uuid_bytes)

    async def _read(self, number: int, client: gatt_client.Client, handle: int) -> None:
        self._tell(_READ_RESULT, number, handle, 0, bytes(await client.read_value(handle)))

    async def _exchange_mtu(self, connection: Connection) -> None:
        try:
            mtu = await connection.gatt_client.request_mtu(self._mtu)
        except (BaseError, TimeoutError):
            return  # no event, as on the device: the asker's time-out tells
        self._tell(_MTU_EXCHANGED, connection.handle, 0, mtu)


class _Value:
    """One characteristic that the guest serves. flags: as MicroPython's FLAG_*; size: bytes that it can hold."""

    def __init__(self, radio: GuestRadio, uuid: UUID, flags: int, size: int) -> None:
        self.data = b""
        self._radio = radio
        self._size = size
        permissions = att.Attribute.READABLE | att.Attribute.WRITEABLE
        self.characteristic: gatt.Characteristic[bytes] = gatt.Characteristic(
            uuid,
            gatt.Characteristic.Properties(flags & _PROPERTIES),
            permissions,
            gatt.CharacteristicValue(read=lambda connection: self.data, write=self._write),
        )

    def _write(self, connection: Any, data: bytes) -> None:
        self.data = bytes(data[: self._size])
        self._radio.written(connection, self.characteristic.handle, self.data)


def _uuid(text: str) -> UUID:
    return UUID.from_bytes(bytes.fromhex(text))
