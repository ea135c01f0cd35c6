"""A station's controller: Bumble's, with the parts that firmware and time need and it lacks.

Bumble's controller answers the HCI commands; what goes on the air is `link`'s. Added here: legacy advertising with
its types, scan responses and real intervals (Core 5.4, Vol 6, Part B, 4.4.2), scan windows and duplicate filtering,
a connection's real parameters, flow control by what the air has carried, LE Encrypt, and a reset that resets.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

from bumble import controller as bumble_controller
from bumble import hci, ll
from bumble.core import InvalidPacketError, PhysicalTransport
from bumble.link import LocalLink

from quaver.emulator.radio.path import Tally

_UNIT_S = 0.000625  # of advertising and scan intervals
_INTERVAL_S = 0.00125  # of connection intervals
_TIMEOUT_S = 0.01  # of supervision timeouts
_ADV_IND, _ADV_DIRECT_IND, _ADV_SCAN_IND, _ADV_NONCONN_IND = 0, 1, 2, 3
_SCAN_RSP = 4
_CONNECTABLE = (_ADV_IND, _ADV_DIRECT_IND)
_SCANNABLE = (_ADV_IND, _ADV_SCAN_IND)
_VENDOR = 0x3F  # opcode group
_WRITE_BD_ADDR = 0xFC01  # Broadcom's vendor command


class Lane(Protocol):
    """The connection that an end sends over; `link.Lane` is the one there is."""

    interval_s: float
    timeout_s: float

    def send(self, end: RadioConnection, packet: hci.HCI_AclDataPacket | ll.ControlPdu) -> None: ...

    def retime(self, interval_s: float, timeout_s: float) -> None: ...

    def abandon(self, end: RadioConnection) -> None: ...

    def drop(self, end: RadioConnection, reason: int) -> None: ...


class Radio(Protocol):
    """The air as a station knows it; `link.RadioLink` is the one there is."""

    random: random.Random

    def tally(self, name: str) -> Tally: ...

    def advertise(self, sender: RadioController, advertiser: Advertiser) -> None: ...

    def connect(self, central: RadioController, advertiser: Advertiser, address: hci.Address, pending: Any) -> None: ...


class Advertiser(bumble_controller.LegacyAdvertiser):
    """Advertises at the interval that the host asked for, plus the random delay of 0 to 10 ms of 4.4.2.2."""

    def _on_timer_fired(self) -> None:
        if not self.enabled:
            return
        controller = self.controller
        assert isinstance(controller, RadioController)
        controller.radio.advertise(controller, self)
        if self.enabled:  # nobody connected to it
            interval = max(self.advertising_interval_min, 32) * _UNIT_S
            delay = controller.radio.random.random() * 0.01
            self.timer_handle = asyncio.get_running_loop().call_later(interval + delay, self._on_timer_fired)

    @property
    def kind(self) -> int:
        return int(self.advertising_type)


@dataclass
class VersionInd(ll.ControlPdu):
    """LL_VERSION_IND, which Bumble lacks: each end sends it once in a connection (Core 5.4, Vol 6, Part B, 5.1.5)."""

    opcode: ClassVar[ll.ControlPdu.Opcode] = ll.ControlPdu.Opcode.LL_VERSION_IND

    version: int
    company: int
    subversion: int


class RadioConnection(bumble_controller.Connection):
    """One end of a connection. Each ACL packet of the host is one link-layer PDU, up to 251 bytes."""

    lane: Lane
    told_version = False
    peer_version: VersionInd | None = None
    version_asked = False

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        self.lane.send(self, packet)

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        self.lane.send(self, packet)


class RadioController(bumble_controller.Controller):
    """`name` is the station's; packets to its host go to `host.on_packet`."""

    le_features = (
        bumble_controller.Controller.le_features
        & ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        & ~hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )
    le_acl_data_packet_length = 251
    acl_data_packet_length = 251
    supported_max_tx_octets = 251
    supported_max_rx_octets = 251
    suggested_max_tx_octets = 251
    total_num_le_acl_data_packets = 8
    total_num_acl_data_packets = 8

    def __init__(self, name: str, radio: Radio, address: hci.Address) -> None:
        super().__init__(name, link=cast(LocalLink, radio), public_address=address)
        self.radio = radio
        self.le_legacy_advertiser = Advertiser(self)
        self._listens_since = 0.0
        self._reported: set[tuple[bytes, int]] = set()

    # Commands that Bumble does not know, or answers without doing them.

    def on_packet(self, packet: bytes) -> None:
        if packet and packet[0] == hci.HCI_COMMAND_PACKET and len(packet) >= 4:
            opcode = packet[1] | packet[2] << 8
            if opcode >> 10 == _VENDOR:
                if opcode == _WRITE_BD_ADDR and len(packet) >= 10:
                    self.public_address = hci.Address(packet[4:10], hci.Address.PUBLIC_DEVICE_ADDRESS)
                self._complete(opcode)
                return
            if opcode == hci.HCI_LE_ENCRYPT_COMMAND and len(packet) >= 36:
                self._complete(opcode, _encrypt(packet[4:20], packet[20:36]))
                return
            if opcode == hci.HCI_LE_SET_DATA_LENGTH_COMMAND and len(packet) >= 6:
                self._complete(opcode, packet[4:6])
                return
        try:
            super().on_packet(packet)
        except (ValueError, IndexError, struct.error, InvalidPacketError) as error:
            bumble_controller.logger.warning("%s: not an HCI packet (%s)", self.name, error)

    def on_hci_command(self, command: hci.HCI_Command) -> Any:
        self._complete(command.op_code, status=hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)

    def on_hci_command_packet(self, command: hci.HCI_Command) -> None:
        if not hasattr(self, f"on_{command.name.lower()}"):
            self._complete(command.op_code, status=hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)
            return
        super().on_hci_command_packet(command)

    def _complete(self, opcode: int, values: bytes = b"", status: int = 0) -> None:
        body = bytes((1, opcode & 0xFF, opcode >> 8, status)) + values
        self._to_host(bytes((hci.HCI_EVENT_PACKET, hci.HCI_COMMAND_COMPLETE_EVENT, len(body))) + body)

    def _status(self, opcode: int, status: int) -> None:
        self.send_hci_packet(
            hci.HCI_Command_Status_Event(status=status, num_hci_command_packets=1, command_opcode=opcode)
        )

    def _to_host(self, packet: bytes) -> None:
        if self.host:
            asyncio.get_running_loop().call_soon(self.host.on_packet, packet)

    def on_hci_reset_command(self, _command: Any) -> Any:
        self.quiet()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_create_connection_cancel_command(self, _command: Any) -> Any:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self._connected(
            None, hci.Role.CENTRAL, pending.peer_address, hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_create_connection_command(self, command: Any) -> None:
        super().on_hci_le_create_connection_command(command)
        self._listens_since = asyncio.get_running_loop().time()

    def on_hci_le_set_scan_enable_command(self, command: Any) -> Any:
        on = bool(command.le_scan_enable)
        now = asyncio.get_running_loop().time()
        if self.le_scan_enable:
            self._account_scan(now)
        if on:
            self._listens_since = now
            self._reported.clear()
        return super().on_hci_le_set_scan_enable_command(command)

    def _account_scan(self, now: float) -> None:
        share = min(1.0, self.le_scan_window / max(self.le_scan_interval, 1))
        self.radio.tally(self.name).radio_s += (now - self._listens_since) * share

    def quiet(self) -> None:
        """Power off or reset: nothing on the air any more. Peers learn it by their supervision timeout."""
        if self.le_scan_enable:
            self._account_scan(asyncio.get_running_loop().time())
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.le_legacy_advertiser.stop()
        for connection in list(self.le_connections.values()):
            assert isinstance(connection, RadioConnection)
            connection.lane.abandon(connection)
        self.le_connections.clear()

    def on_hci_disconnect_command(self, command: Any) -> None:
        """As Core 5.4, Vol 4, Part E, 7.1.6: the reason given is the peer's to hear, this host hears its own (0x16)."""
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            self._status(command.op_code, hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR)
            return
        self._status(command.op_code, hci.HCI_ErrorCode.SUCCESS)
        connection.send_ll_control_pdu(ll.TerminateInd(command.reason))
        self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    def on_hci_read_remote_version_information_command(self, command: Any) -> None:
        """NimBLE tells its host of no connection as a peripheral before this one is answered."""
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            self._status(command.op_code, hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR)
            return
        assert isinstance(connection, RadioConnection)
        self._status(command.op_code, hci.HCI_ErrorCode.SUCCESS)
        connection.version_asked = True
        self._tell_version(connection)
        self._report_version(connection)

    def _tell_version(self, connection: RadioConnection) -> None:
        if not connection.told_version:
            connection.told_version = True
            connection.send_ll_control_pdu(
                VersionInd(int(self.lmp_version), self.manufacturer_company_identifier, self.lmp_subversion)
            )

    def _report_version(self, connection: RadioConnection) -> None:
        peer = connection.peer_version
        if connection.version_asked and peer is not None:
            connection.version_asked = False
            self.send_hci_packet(
                hci.HCI_Read_Remote_Version_Information_Complete_Event(
                    status=hci.HCI_ErrorCode.SUCCESS,
                    connection_handle=connection.handle,
                    version=peer.version,
                    manufacturer_name=peer.company,
                    subversion=peer.subversion,
                )
            )

    # What the air brings.

    def _listens(self, interval: int, window: int, now: float) -> bool:
        """Whether the receiver is open: for the first `window` of every `interval`."""
        period = max(interval, 1) * _UNIT_S
        return (now - self._listens_since) % period < window * _UNIT_S

    def listens(self) -> bool:
        """Whether the host scans or waits for somebody to connect to; otherwise it hears nothing."""
        return self.le_scan_enable or self.pending_le_connection is not None

    def hear(self, advertiser: Advertiser, address: hci.Address, rssi: int) -> None:
        """An advertisement that reached this station: report it, connect where the host waits for it."""
        now = asyncio.get_running_loop().time()
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == address and advertiser.kind in _CONNECTABLE:
            interval = getattr(pending, "le_scan_interval", 1)
            window = getattr(pending, "le_scan_window", 1)
            if self._listens(interval, window, now):
                self.pending_le_connection = None
                self.radio.connect(self, advertiser, address, pending)
                return
        if not self.le_scan_enable or not self._listens(self.le_scan_interval, self.le_scan_window, now):
            return
        self._report(advertiser.kind, address, bytes(advertiser.advertising_data), rssi)
        if self.le_scan_type == 1 and advertiser.kind in _SCANNABLE:
            self._report(_SCAN_RSP, address, bytes(advertiser.scan_response_data), rssi)

    def _report(self, kind: int, address: hci.Address, data: bytes, rssi: int) -> None:
        if self.filter_duplicates:
            if (bytes(address), kind) in self._reported:
                return
            self._reported.add((bytes(address), kind))
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=hci.HCI_LE_Advertising_Report_Event.EventType(kind),
            address_type=hci.AddressType(int(address.address_type)),
            address=address,
            data=data,
            rssi=rssi,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def join(self, role: hci.Role, own: hci.Address, peer: hci.Address, lane: Lane) -> RadioConnection:
        """This end of a new connection, told to the host."""
        stale = self.le_connections.get(peer)
        if stale is not None:  # the peer came back before we noticed that it had gone
            assert isinstance(stale, RadioConnection)
            stale.lane.drop(stale, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        connection = RadioConnection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.link,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        connection.lane = lane
        self.le_connections[peer] = connection
        self._connected(connection, role, peer, hci.HCI_ErrorCode.SUCCESS)
        return connection

    def _connected(
        self, connection: RadioConnection | None, role: hci.Role, peer: hci.Address, status: hci.HCI_ErrorCode
    ) -> None:
        lane = connection.lane if connection else None
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=status,
                connection_handle=connection.handle if connection else 0,
                role=role,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=round(lane.interval_s / _INTERVAL_S) if lane else 0,
                peripheral_latency=0,
                supervision_timeout=round(lane.timeout_s / _TIMEOUT_S) if lane else 0,
                central_clock_accuracy=0,
            )
        )

    def arrive(self, connection: RadioConnection, packet: hci.HCI_AclDataPacket | ll.ControlPdu) -> None:
        """One PDU of the peer."""
        if isinstance(packet, hci.HCI_AclDataPacket):
            flag = 1 if packet.pb_flag == 1 else 2
            data = packet.data
            self.send_hci_packet(hci.HCI_AclDataPacket(connection.handle, flag, 0, len(data), data))
        else:
            if isinstance(packet, ll.ConnectionUpdateInd):
                connection.lane.retime(packet.interval * _INTERVAL_S, packet.timeout * _TIMEOUT_S)
            if isinstance(packet, VersionInd):
                connection.peer_version = packet
                self._tell_version(connection)
                self._report_version(connection)
                return
            self.on_ll_control_pdu(connection.peer_address, packet)

    def carried(self, connection: RadioConnection) -> None:
        """The peer has acknowledged an ACL packet of the host: its buffer is free again."""
        self.send_hci_packet(
            hci.HCI_Number_Of_Completed_Packets_Event(connection_handles=[connection.handle], num_completed_packets=[1])
        )

    def on_le_disconnected(self, connection: bumble_controller.Connection, reason: int) -> None:
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)


def parameters(pending: Any) -> tuple[float, float]:
    """Connection interval and supervision timeout, in seconds, that a create-connection command asks for."""
    if isinstance(pending, hci.HCI_LE_Extended_Create_Connection_Command):
        interval, timeout = pending.connection_interval_mins[0], pending.supervision_timeouts[0]
    else:
        interval, timeout = pending.connection_interval_min, pending.supervision_timeout
    return max(interval, 6) * _INTERVAL_S, max(timeout, 10) * _TIMEOUT_S


def _encrypt(key: bytes, plain: bytes) -> bytes:
    """AES-128 as LE Encrypt has it: everything least significant byte first (Core 5.4, Vol 4, Part E, 7.8.22)."""
    from bumble import crypto

    encrypt: Callable[[bytes, bytes], bytes] = crypto.e  # type: ignore[attr-defined]
    return encrypt(key, plain)
