"""Improv Wi-Fi: the packets are the published ones, credentials are taken in its window alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from improv_ble_client import protocol

from links.improv import ERROR, RESULT, STATE, Improv
from tests.programs import program

NETWORKS = [("plant", -60, True), ("guests", -71, False)]
JOIN = b"\x01\x1e\x0cMyWirelessAP\x10mysecurepassword"  # the example of both publications


class Clock:
    """An uptime that stands still until it is moved."""

    now = 0

    def ms(self) -> int:
        return self.now


class Node:
    """A node whose access point takes one password."""

    def __init__(self, serial: bool, networks: list[tuple[str, int, bool]] = NETWORKS) -> None:
        self.said: list[tuple[int, bytes]] = []
        self.joined: list[tuple[str, str]] = []
        self.lit = 0
        self.networks = networks
        self.clock = Clock()
        about = ("Quaver", "0.1.0", "rp2040", "node-1")
        self.improv = Improv(self.emit, about, self.join, self.scan, self.identify, self.clock, serial)

    def emit(self, kind: int, data: bytes) -> None:
        self.said.append((kind, data))

    async def join(self, ssid: str, password: str) -> list[str]:
        if password != "mysecurepassword":
            raise OSError("wifi wrong password")
        self.joined.append((ssid, password))
        return ["http://node-1"]

    async def scan(self) -> list[tuple[str, int, bool]]:
        return self.networks

    def identify(self) -> None:
        self.lit += 1

    def send(self, packet: bytes) -> list[tuple[int, bytes]]:
        """Give the node one packet; returns what it said."""
        self.said.clear()
        asyncio.run(self.improv.command(packet))
        return list(self.said)


def test_the_serial_side_step_by_step() -> None:
    node = Node(serial=True)
    node.improv.open(60)
    assert node.said == [(STATE, b"\x02")]
    assert node.send(b"\x02\x00") == [(ERROR, b"\x00"), (STATE, b"\x02")]
    assert node.send(b"\x03\x00") == [(ERROR, b"\x00"), (RESULT, b"\x03\x1b\x06Quaver\x050.1.0\x06rp2040\x06node-1")]
    assert node.send(b"\x04\x00") == [
        (ERROR, b"\x00"),
        (RESULT, b"\x04\x0e\x05plant\x03-60\x03YES"),
        (RESULT, b"\x04\x0e\x06guests\x03-71\x02NO"),
        (RESULT, b"\x04\x00"),
    ]
    assert node.send(b"\x01\x05\x01x\x02no") == [
        (ERROR, b"\x00"),
        (STATE, b"\x03"),
        (STATE, b"\x02"),
        (ERROR, b"\x03"),
    ]
    done = [(STATE, b"\x04"), (RESULT, b"\x01\x0e\x0dhttp://node-1")]
    assert node.send(JOIN) == [(ERROR, b"\x00"), (STATE, b"\x03"), *done]
    assert node.joined == [("MyWirelessAP", "mysecurepassword")]
    assert node.send(b"\x02\x00") == [(ERROR, b"\x00"), *done]


def test_the_ble_side_speaks_with_the_client_of_another_maker() -> None:
    node = Node(serial=False)
    node.improv.open(60)
    assert node.send(protocol.IdentifyCmd().as_bytes()) == [(ERROR, b"\x00")] and node.lit == 1
    (_, (kind, data)) = node.send(protocol.DeviceInfoCmd().as_bytes())
    about = protocol.parse_result(data)
    assert kind == RESULT and isinstance(about, protocol.DeviceInfoRes)
    assert (about.firmware_name, about.hardware_chip, about.device_name) == (b"Quaver", b"rp2040", b"node-1")
    networks = protocol.parse_result(node.send(protocol.ScanWifiCmd().as_bytes())[-1][1])
    assert isinstance(networks, protocol.ScanWifiRes)
    assert networks.networks == [(b"plant", b"-60", b"WPA2"), (b"guests", b"-71", b"NO")]
    result = protocol.parse_result(
        node.send(protocol.WiFiSettingsCmd(b"MyWirelessAP", b"mysecurepassword").as_bytes())[-1][1]
    )
    assert isinstance(result, protocol.WiFiSettingsRes) and result.redirect_url == b"http://node-1"
    assert protocol.Capabilities(node.improv.capabilities()) == (
        protocol.Capabilities.IDENTIFY | protocol.Capabilities.DEVICE_INFO | protocol.Capabilities.SCAN_WIFI
    )


def test_a_packet_in_several_writes() -> None:
    node = Node(serial=False)
    node.improv.open(60)
    packet = protocol.WiFiSettingsCmd(b"MyWirelessAP", b"mysecurepassword").as_bytes()
    for start in range(0, len(packet), 20):
        asyncio.run(node.improv.write(packet[start : start + 20]))
    assert len(node.joined) == 1
    asyncio.run(node.improv.write(packet[:20]))
    node.improv.forget()
    asyncio.run(node.improv.write(packet))
    assert len(node.joined) == 2


def test_a_plant_full_of_networks_fits_one_answer() -> None:
    node = Node(serial=False, networks=[(f"network number {i:02} with a long", -40, True) for i in range(90)])
    (_, (_, data)) = node.send(protocol.ScanWifiCmd().as_bytes())
    networks = protocol.parse_result(data)
    assert isinstance(networks, protocol.ScanWifiRes)
    assert len(data) <= 255 and 5 <= len(networks.networks) <= 6
    serial = Node(serial=True, networks=node.networks)
    assert len(serial.send(b"\x04\x00")) == 1 + 24 + 1


@pytest.mark.parametrize("serial", [True, False], ids=["serial", "ble"])
def test_outside_its_window_no_credentials_are_taken(serial: bool) -> None:
    node = Node(serial)
    packet = JOIN if serial else protocol.WiFiSettingsCmd(b"MyWirelessAP", b"mysecurepassword").as_bytes()
    assert node.send(packet)[-1] == (ERROR, b"\x04")
    assert (node.joined, node.improv.state, node.improv.refused) == ([], 1, 1)
    node.improv.open(60)
    node.clock.now = 60_001
    assert node.send(packet)[-1] == (ERROR, b"\x04")
    assert node.joined == [] and node.improv.state == 1


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (b"", 1),
        (b"\x01", 1),
        (b"\x01\x05\x01x", 1),  # shorter than it says
        (b"\x01\x02\x01x\x00", 1),  # longer
        (b"\x01\x02\x05x", 1),  # a string beyond the end
        (b"\x01\x02\x01x", 1),  # no password
        (b"\x01\x06\x01x\x01y\x01z", 1),  # three strings
        (b"\x01\x03\x00\x01y", 1),  # no name
        (b"\x01\x04\x02\xff\xfe\x00", 1),  # not UTF-8
        (b"\x01\x23\x21" + b"s" * 33 + b"\x00", 1),  # a name of 33
        (b"\x03\x01x", 1),
        (b"\x05\x00", 2),
        (b"\xff\x00", 2),
    ],
)
def test_a_wrong_packet_is_an_error_and_no_more(packet: bytes, error: int) -> None:
    node = Node(serial=True)
    node.improv.open(60)
    assert node.send(packet)[-1] == (ERROR, bytes([error]))
    assert (node.joined, node.lit, node.improv.state, node.improv.refused) == ([], 0, 2, 1)


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_garbage_joins_nothing(packets: list[bytes]) -> None:
    node = Node(serial=False)
    node.improv.open(60)
    for packet in packets:
        asyncio.run(node.improv.write(packet))
        assert len(node.improv._part) < 258
    assert node.joined == [] and node.improv.state == 2


def test_on_micropython_the_window_ends_by_the_clock(micropython: Callable[..., Any]) -> None:
    assert micropython(
        program(__file__, "window"),
        virtual_time=True,
    ) == [[[1, 2], [2, 0], [1, 3], [1, 4], [4, 1], [1, 2], [1, 1], [2, 0], [2, 4]], True, False]
