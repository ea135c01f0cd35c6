"""Joins the emulated radio's network to the host: the gateway is the host's loopback.

The guest has an address of 10.0.0.0/24 and sees the host as 10.0.0.1, the gateway; port 1883 there is the broker
that the setup names. Other addresses are reached as the host reaches them. The module also knows when an answer is
under way, so that virtual time does not leap over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, SupportsIndex

from rp2040py.external.cyw43 import net
from rp2040py.external.cyw43.nat import GATEWAY_IP, DhcpServer, NatBridge, TcpReflector, UdpRelay

HOST_ADDRESS = ".".join(str(byte) for byte in GATEWAY_IP)
_BROKER_PORT = 1883
_ANSWER_S = 1.0  # how long a request on an open connection may keep virtual time from leaping
_QUIET_S = 0.01  # after something arrived, more of it may follow
_READ_LIMIT = 1 << 16


class Network:
    """The guest's network, attached to the radio's bus model."""

    def __init__(self, mcu: Any, radio: Any, broker_port: int | None, ip: str) -> None:
        """ip: the address that the guest's DHCP request is answered with."""
        self._broker_port = broker_port
        self._asked = 0.0
        self._answered = 0.0
        self._lan_said: Callable[[], None] | None = None
        self._bridge = _Bridge(mcu, queue_ethernet_frame=radio.queue_rx_ethernet_frame)
        self._tcp = _Reflector(mcu, radio.queue_rx_ethernet_frame, connect_fn=self._connect)
        self._tcp.network = self
        self._bridge._tcp = self._tcp
        self._bridge._dhcp = DhcpServer(guest_ip=bytes(int(part) for part in ip.split(".")))
        self._udp = self._bridge._udp = _Datagrams(mcu, radio.queue_rx_ethernet_frame)
        self._bridge._dhcp = DhcpServer(guest_ip=bytes(int(part) for part in ip.split(".")))
        radio.nat_bridge = self._bridge

    def join_lan(
        self,
        connect: Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
        exchange: Callable[[int, bytes], Awaitable[bytes]],
        said: Callable[[], None],
        patience_s: float,
    ) -> None:
        """From now on the network is one of virtual time. said: called when the guest sends a frame."""
        self._bridge.said = said
        self._tcp._connect_fn = connect
        self._tcp._connect_timeout = patience_s
        self._udp.exchange = exchange
        self._lan_said = said

    def reset(self) -> None:
        """The chip was reset: the connections of the guest that was end at once, as a broker would see it."""
        self._bridge.reset()

    def waiting(self) -> bool:
        """Whether the guest may expect something from the host's network right now (in real time)."""
        if self._lan_said is not None:
            return False
        now = time.monotonic()
        if now - self._answered < _QUIET_S:
            return True
        if self._asked > self._answered and now - self._asked < _ANSWER_S:
            return True
        return any(flow.writer is None for flow in self._tcp._flows.values())

    def asked(self) -> None:
        self._asked = time.monotonic()

    def answered(self) -> None:
        self._answered = time.monotonic()

    async def _connect(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if address == HOST_ADDRESS:
            address = "127.0.0.1"
            if port == _BROKER_PORT and self._broker_port is not None:
                port = self._broker_port
        loop = asyncio.get_running_loop()
        reader = _Reader(self, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, address, port)
        return reader, _Writer(transport, protocol, reader, loop)


class _Bridge(NatBridge):  # type: ignore[misc, unused-ignore]
    """Tells when the guest sends a frame."""

    said: Callable[[], None] | None = None

    def handle_outbound_ethernet_frame(self, frame: bytes) -> None:
        if self.said is not None:
            self.said()
        super().handle_outbound_ethernet_frame(frame)


class _Datagrams(UdpRelay):  # type: ignore[misc, unused-ignore]
    """Brings what the guest sends to its gateway to the host's loopback, as the connections are."""

    exchange: Callable[[int, bytes], Awaitable[bytes]] | None = None  # of a network in virtual time

    async def _relay(self, *about: Any) -> None:
        mac, guest, port, query, (address, upstream_port), *reply = about
        if self.exchange is not None:
            data = await self.exchange(upstream_port, query)
            answer = net.pack_udp(reply[0], guest, reply[1], port, data)
            packet = net.pack_ipv4(reply[0], guest, net.IP_PROTO_UDP, answer)
            self._queue_ethernet_frame(net.pack_ethernet(mac, self._gateway_mac, net.ETHERTYPE_IPV4, packet))
            return
        upstream = ("127.0.0.1" if address == HOST_ADDRESS else address, upstream_port)
        await super()._relay(mac, guest, port, query, upstream, *reply)


class _Writer(asyncio.StreamWriter):
    """Half-closes quietly: the peer may have gone first (a broker that was stopped), which is no fault of ours."""

    def write_eof(self) -> None:
        with contextlib.suppress(OSError):
            super().write_eof()


class _Reader(asyncio.StreamReader):
    """Notes when the host's side has said something."""

    def __init__(self, network: Network, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=_READ_LIMIT, loop=loop)
        self._network = network

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self._network.answered()
        super().feed_data(data)


class _Reflector(TcpReflector):  # type: ignore[misc, unused-ignore]
    """Notes when the guest has said something that wants an answer."""

    network: Network

    def _on_guest_segment(self, flow: Any, tcp: Any) -> None:
        if tcp.payload:
            self.network.asked()
        super()._on_guest_segment(flow, tcp)
