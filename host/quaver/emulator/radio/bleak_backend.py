"""bleak over Bumble: a host program that uses bleak meets the stations of a virtual air.

    scanner, client = backends(device)      # a Bumble device of the air, see Air.device
    BleakScanner(heard, backend=scanner)
    BleakClient(found, backend=client)

Both live in the air's loop, so a program that is to be in virtual time runs there (`Air.run`).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar
from uuid import UUID as PlainUUID

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble import hci
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Connection, Device, Peer

_MTU = 517  # what BlueZ asks for; the peer's own bounds it
_PROPERTIES = {1: "broadcast", 2: "read", 4: "write-without-response", 8: "write", 16: "notify", 32: "indicate"}


def backends(device: Device) -> tuple[type[BaseBleakScanner], type[BaseBleakClient]]:
    """The scanner's and the client's backend that use this device."""

    class Scanner(_Scanner):
        radio = device

    class Client(_Client):
        radio = device

    return Scanner, Client


def _text(uuid: UUID) -> str:
    """A UUID as bleak has it: 128 bits in lower case."""
    raw = uuid.uuid_bytes
    if len(raw) == 2:
        return f"0000{int.from_bytes(raw, 'little'):04x}-0000-1000-8000-00805f9b34fb"
    return str(PlainUUID(bytes=raw[::-1]))


class _Scanner(BaseBleakScanner):
    radio: ClassVar[Device]

    def __init__(
        self, detection_callback: Any, service_uuids: list[str] | None, scanning_mode: str, **_settings: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._responses: dict[str, bytes] = {}
        self._data: dict[str, bytes] = {}

    async def start(self) -> None:
        self.seen_devices = {}
        self.radio.host.on("advertising_report", self._heard)
        await self.radio.start_scanning(
            legacy=True, active=self._active, own_address_type=hci.OwnAddressType.PUBLIC, filter_duplicates=False
        )

    async def stop(self) -> None:
        self.radio.host.remove_listener("advertising_report", self._heard)
        await self.radio.stop_scanning(legacy=True)

    def _heard(self, report: Any) -> None:
        address = report.address.to_string(False)
        response = int(report.event_type) == 4
        (self._responses if response else self._data)[address] = bytes(report.data)
        fields = AdvertisingData.from_bytes(self._data.get(address, b"") + self._responses.get(address, b""))
        advertisement = _advertisement(fields, report.rssi)
        details = (self.radio, report.address)
        found = self.create_or_update_device(address, address, advertisement.local_name, details, advertisement)
        if self.is_allowed_uuid(advertisement.service_uuids):
            self.call_detection_callbacks(found, advertisement)


def _advertisement(fields: AdvertisingData, rssi: int) -> AdvertisementData:
    name = None
    makers: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    services: list[str] = []
    for kind, data in fields.ad_structures:
        number = int(kind)
        if number in (0x08, 0x09):
            name = data.decode(errors="replace")
        elif number == 0xFF and len(data) >= 2:
            makers[int.from_bytes(data[:2], "little")] = data[2:]
        elif number in (0x16, 0x21):
            size = 2 if number == 0x16 else 16
            if len(data) >= size:
                service_data[_text(UUID.from_bytes(data[:size]))] = data[size:]
        elif number in (0x02, 0x03, 0x06, 0x07):
            size = 2 if number < 4 else 16
            services += [_text(UUID.from_bytes(data[at : at + size])) for at in range(0, len(data) - size + 1, size)]
    return AdvertisementData(name, makers, service_data, services, None, rssi, ())


class _Client(BaseBleakClient):
    radio: ClassVar[Device]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Any,
        timeout: float,
        services: set[str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout, **settings
        )
        if isinstance(address_or_ble_device, BLEDevice):
            self._peer_address = address_or_ble_device.details[1]
            self._name = address_or_ble_device.name
        else:
            self._peer_address = hci.Address(address_or_ble_device, hci.Address.PUBLIC_DEVICE_ADDRESS)
            self._name = None
        self._wanted = services
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        return self._up().att_mtu

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def _up(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    async def connect(self, pair: bool, **_settings: Any) -> None:
        try:
            connection = self._connection = await self.radio.connect(
                self._peer_address, own_address_type=hci.OwnAddressType.PUBLIC, timeout=self._timeout
            )
        except (BaseBumbleError, TimeoutError) as error:
            raise BleakDeviceNotFoundError(self.address, str(error)) from error
        connection.on(Connection.EVENT_DISCONNECTION, self._gone)
        try:
            await self._ask(self._discover(Peer(connection)))
        except BaseException:
            await self.disconnect()
            raise

    async def _discover(self, peer: Peer) -> None:
        await peer.request_mtu(_MTU)
        found = BleakGATTServiceCollection()
        for service in await peer.discover_services():
            uuid = _text(service.uuid)
            if self._wanted is not None and uuid not in self._wanted:
                continue
            ours = BleakGATTService(service, service.handle, uuid)
            found.add_service(ours)
            for characteristic in await service.discover_characteristics():
                properties: Any = [name for bit, name in _PROPERTIES.items() if int(characteristic.properties) & bit]
                theirs = BleakGATTCharacteristic(
                    characteristic,
                    characteristic.handle,
                    _text(characteristic.uuid),
                    properties,
                    lambda: self._up().att_mtu - 3,
                    ours,
                )
                found.add_characteristic(theirs)
                for descriptor in await characteristic.discover_descriptors():
                    found.add_descriptor(
                        BleakGATTDescriptor(descriptor, descriptor.handle, _text(descriptor.type), theirs)
                    )
        self.services = found

    def _gone(self, _reason: int) -> None:
        self._connection = None
        self.services = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(BaseBumbleError, TimeoutError):  # gone already
                await self._connection.disconnect()

    async def pair(self, *_arguments: Any, **_settings: Any) -> None:
        raise BleakError("the virtual air has no pairing")

    async def unpair(self) -> None:
        raise BleakError("the virtual air has no pairing")

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_settings: Any
    ) -> bytearray:
        return bytearray(await self._ask(characteristic.obj.read_value()))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_settings: Any
    ) -> bytearray:
        return bytearray(await self._ask(descriptor.obj.read_value()))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        await self._ask(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        await self._ask(descriptor.obj.write_value(bytes(data), with_response=True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: Any, **_settings: Any) -> None:
        def heard(value: bytes) -> None:
            callback(bytearray(value))

        characteristic.obj.quaver_heard = heard
        await self._ask(characteristic.obj.subscribe(heard))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        await self._ask(characteristic.obj.unsubscribe(characteristic.obj.quaver_heard))

    async def _ask(self, work: Any) -> Any:
        """A GATT procedure with Bumble, its errors as bleak's."""
        connection = self._connection
        if connection is None:
            work.close()
            raise BleakError("Not connected")
        try:
            return await connection.cancel_on_disconnection(work)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise BleakError("disconnected") from error
        except (BaseBumbleError, TimeoutError) as error:
            raise BleakError(str(error)) from error
