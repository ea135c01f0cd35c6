"""Each emulated board is somebody: the same one by the same name, another one by another."""

import ast

from quaver.emulator.identity import Identity, next_name
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard


def test_a_name_is_one_board_and_names_are_different_boards() -> None:
    many = [Identity.of(f"node {n}") for n in range(200)]
    assert many == [Identity.of(f"node {n}") for n in range(200)]
    assert len({one.unique_id for one in many}) == 200
    addresses = [address for one in many for address in (one.wifi_mac, one.ble_address)]
    assert len(set(addresses)) == 400
    assert {address[:3] for address in addresses} == {bytes.fromhex("28cdc1")}
    assert all(one.ip.startswith("10.0.0.") and one.ip not in ("10.0.0.0", "10.0.0.1", "10.0.0.255") for one in many)


def test_boards_without_a_name_are_counted() -> None:
    assert next_name("kind") != next_name("kind")


def test_a_unix_board_shows_its_numbers() -> None:
    ask = "import machine, network; print((machine.unique_id(), network.WLAN(0).config('mac')))"
    with UnixBoard(Setup(name="n7")) as named, UnixBoard(Setup()) as other:
        seen = ast.literal_eval(named.exec(ask))
        assert seen == (Identity.of("n7").unique_id, Identity.of("n7").wifi_mac)
        assert ast.literal_eval(other.exec(ask)) == (other.identity.unique_id, other.identity.wifi_mac) != seen
