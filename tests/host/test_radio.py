"""The virtual air: who hears whom, when, and what loss, range and a shared clock do to it."""

import asyncio
import itertools
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bumble import gatt
from bumble.core import UUID
from bumble.device import Connection, Device, Peer
from bumble.hci import Address, HCI_ErrorCode, OwnAddressType
from bumble.transport import open_transport

from quaver.emulator.clock import Clock
from quaver.emulator.radio import Air, Path
from quaver.errors import RadioError

SERVICE, VALUE = UUID("7e0f0000-0001-4000-8000-00805f9b34fb"), UUID("7e0f0000-0002-4000-8000-00805f9b34fb")
A, B = bytes.fromhex("280102030401"), bytes.fromhex("280102030402")


@pytest.fixture
def air() -> Iterator[Air]:
    with Air(seed=3) as air:
        yield air


def value() -> Any:
    properties = gatt.Characteristic.Properties.READ | gatt.Characteristic.Properties.NOTIFY
    return gatt.Characteristic(VALUE, properties, gatt.Characteristic.READABLE, b"hello")


async def advertise(device: Device, interval_ms: float = 100) -> None:
    await device.start_advertising(
        own_address_type=OwnAddressType.PUBLIC,
        advertising_data=b"\x02\x01\x06",
        scan_response_data=b"\x05\x09node",
        advertising_interval_min=interval_ms,
        advertising_interval_max=interval_ms,
    )


async def heard(air: Air, device: Device, seconds: float, active: bool = False) -> list[tuple[float, Any]]:
    reports: list[tuple[float, Any]] = []
    device.host.on("advertising_report", lambda report: reports.append((air.loop.time(), report)))
    await device.start_scanning(legacy=True, active=active, own_address_type=OwnAddressType.PUBLIC)
    await asyncio.sleep(seconds)
    await device.stop_scanning(legacy=True)
    device.host.remove_all_listeners("advertising_report")
    return reports


async def connected(device: Device) -> Connection:
    return await device.connect(
        Address(A[::-1], Address.PUBLIC_DEVICE_ADDRESS), own_address_type=OwnAddressType.PUBLIC, timeout=10
    )


def test_an_advertisement_is_heard_at_its_interval_with_its_response(air: Air) -> None:
    a, b = air.device("a", A), air.device("b", B)

    async def main() -> list[tuple[float, Any]]:
        await advertise(a, 200)
        reports = await heard(air, b, 10, active=True)
        assert air.link.tally("a").advertisements == pytest.approx(49, abs=2)
        return reports

    reports = air.run(main())
    first = [(at, report) for at, report in reports if int(report.event_type) == 0]
    assert all(0.2 <= two[0] - one[0] <= 0.21 for one, two in itertools.pairwise(first))
    assert {bytes(report.data) for _, report in first} == {b"\x02\x01\x06"}
    assert {bytes(r.data) for _, r in reports if int(r.event_type) == 4} == {b"\x05\x09node"}


def test_loss_takes_its_share_of_advertisements_and_the_seed_repeats_it() -> None:
    def run(seed: int) -> list[float]:
        with Air(seed=seed) as air:
            a, b = air.device("a", A), air.device("b", B)
            air.set_path("a", "b", Path(loss=0.2))

            async def main() -> list[tuple[float, Any]]:
                await advertise(a)
                return await heard(air, b, 200)

            return [at for at, _ in air.run(main())]

    one, again, other = run(5), run(5), run(6)
    assert one == again != other
    assert len(one) == pytest.approx(200 / 0.105 * 0.8, rel=0.05)


def test_out_of_range_is_silence_for_that_pair_alone(air: Air) -> None:
    a, b, c = air.device("a", A), air.device("b", B), air.device("c", bytes.fromhex("280102030403"))
    air.set_path("a", "b", Path(in_range=False))
    air.set_path("a", "c", Path(rssi=-81))

    async def main() -> tuple[list[Any], list[Any]]:
        await advertise(a)
        return await asyncio.gather(heard(air, b, 2), heard(air, c, 2))

    to_b, to_c = air.run(main())
    assert not to_b
    assert {report.rssi for _, report in to_c} == {-81}


async def throughput(air: Air, a: Device, b: Device, count: int, loss: float) -> tuple[float, list[int]]:
    """Over a path of this loss: seconds for `count` notifications of 200 bytes; their first bytes as they came."""
    characteristic = value()
    a.add_services([gatt.Service(SERVICE, [characteristic])])
    await advertise(a)
    connection = await connected(b)
    peer = Peer(connection)
    await peer.request_mtu(247)
    await peer.discover_services()
    [service] = peer.get_services_by_uuid(SERVICE)
    [remote] = await service.discover_characteristics()
    got: list[int] = []
    full = asyncio.Event()

    def take(data: bytes) -> None:
        got.append(data[0])
        if len(got) == count:
            full.set()

    await remote.subscribe(take)
    air.link.set_path("a", "b", Path(loss=loss))
    began = air.loop.time()
    for number in range(count):
        await a.notify_subscribers(characteristic, bytes([number]) * 200)
    await full.wait()
    return air.loop.time() - began, got


def test_a_connection_carries_what_the_air_has_time_for_and_loss_costs_time_not_data() -> None:
    taken = []
    for loss in (0.0, 0.3):
        with Air(seed=1) as air:
            a, b = air.device("a", A), air.device("b", B)
            seconds, got = air.run(throughput(air, a, b, 100, loss))
            assert got == list(range(100))
            taken.append(seconds)
    # 207 bytes of payload: 1.736 ms on the air, 0.38 ms of gaps and answer; one event of 15 ms holds 7 of them
    assert taken[0] == pytest.approx(100 / 7 * 0.015, rel=0.1)
    assert taken[1] > 2 * taken[0]


def test_latency_delays_each_packet(air: Air) -> None:
    a, b = air.device("a", A), air.device("b", B)

    async def main() -> tuple[float, float]:
        await advertise(a)
        peer = Peer(await connected(b))
        began = air.loop.time()
        await peer.request_mtu(100)
        plain = air.loop.time() - began
        air.link.set_path("a", "b", Path(latency_s=0.5))
        began = air.loop.time()
        await peer.discover_services()
        return plain, air.loop.time() - began

    plain, late = air.run(main())
    assert plain < 0.1
    assert late >= 1.0


@pytest.mark.parametrize("back", [False, True])
def test_a_connection_outlives_a_gap_shorter_than_its_supervision_timeout(air: Air, back: bool) -> None:
    a, b = air.device("a", A), air.device("b", B)

    async def main() -> int | None:
        await advertise(a)
        connection = await connected(b)
        gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connection.on(Connection.EVENT_DISCONNECTION, gone.set_result)
        began = air.loop.time()
        air.link.set_path("a", "b", Path(in_range=False))
        if back:
            await asyncio.sleep(0.5)
            air.link.set_path("a", "b", Path())
            await asyncio.sleep(5)
            return gone.result() if gone.done() else None
        reason = await gone
        assert 0.5 < air.loop.time() - began < 1
        return reason

    assert air.run(main()) == (None if back else HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


def test_a_station_without_power_is_missed_after_the_supervision_timeout(air: Air) -> None:
    b = air.device("b", B)
    a = air.device("a", A)

    async def main() -> tuple[float, int]:
        await advertise(a)
        connection = await connected(b)
        gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connection.on(Connection.EVENT_DISCONNECTION, gone.set_result)
        began = air.loop.time()
        a.host.controller.quiet()  # type: ignore[union-attr]
        reason = await gone
        return air.loop.time() - began, reason

    seconds, reason = air.run(main())
    assert (round(seconds, 2), reason) == (0.72, HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


@pytest.mark.parametrize("gone", ["sender", "receiver"])
def test_a_packet_on_the_air_when_an_end_loses_power_has_no_answer(air: Air, gone: str) -> None:
    receiver, sender = air.device("receiver", A), air.device("sender", B)

    async def main() -> tuple[list[Any], int, int]:
        failures: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        await advertise(receiver)
        connection = await connected(sender)
        await asyncio.sleep(0.1)
        [other] = receiver.connections.values()
        before = air.link.tally("sender").sent
        ended: asyncio.Future[int] = loop.create_future()
        stays, goes = (other, sender) if gone == "sender" else (connection, receiver)
        stays.on(Connection.EVENT_DISCONNECTION, ended.set_result)
        sender.send_l2cap_pdu(connection.handle, 4, b"\x02\x64\x00")  # ATT_EXCHANGE_MTU_REQ
        await asyncio.sleep(0)
        goes.host.controller.quiet()  # type: ignore[union-attr]
        reason = await ended
        return failures, reason, air.link.tally("sender").sent - before

    assert air.run(main()) == ([], HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR, 0)


def test_a_name_is_taken_once_and_free_again(air: Air) -> None:
    station = air.station("n1", A, lambda packet: None)
    with pytest.raises(RadioError, match="n1"):
        air.station("n1", B, lambda packet: None)
    station.close()
    air.station("n1", B, lambda packet: None).close()


def test_what_comes_as_the_air_closes_is_refused_and_not_waited_for() -> None:
    async def nothing() -> None:
        """Never begun."""

    held, gate = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        gate.wait(10)

    air = Air()
    air.post(hold)
    assert held.wait(10)
    air.post(air.loop.stop)  # as close() does, from here, where what comes after it is known to
    late = air.start(nothing())
    gate.set()
    with pytest.raises(RadioError, match="the air was closed"):
        late.result(10)
    air.close()


def test_an_air_may_be_closed_by_several_at_once() -> None:
    for _ in range(20):
        air = Air()
        late = air.start(asyncio.Event().wait())
        closers = [threading.Thread(target=air.close) for _ in range(4)]
        for closer in closers:
            closer.start()
        with pytest.raises(RadioError, match="the air was closed"):
            late.result(10)
        for closer in closers:
            closer.join(10)


def test_what_a_board_sends_happens_before_time_goes_on() -> None:
    clock = Clock()
    with Air(clock) as air:
        events: list[tuple[str, float]] = []

        async def later() -> None:
            await asyncio.sleep(1)
            events.append(("timer", air.loop.time()))

        board = clock.join("board")
        done = air.start(later())
        clock.wait_until(board, 500_000_000)
        air.post(lambda: events.append(("board", air.loop.time())))
        clock.leave(board)
        done.result(10)
    assert events == [("board", 0.5), ("timer", 1.0)]


def test_time_stands_still_for_everybody_while_the_real_world_is_awaited() -> None:
    answer = threading.Event()
    with Air() as air:

        async def main() -> tuple[float, list[float], list[float]]:
            fired: list[float] = []
            air.loop.call_later(1, lambda: fired.append(air.loop.time()))
            began = air.loop.time()
            with air.loop.holding():
                await air.loop.run_in_executor(None, answer.wait, 10)
                held = list(fired)
            stood = air.loop.time() - began
            await asyncio.sleep(2)
            return stood, held, fired

        done = air.start(main())
        board = air.clock.join("board")
        air.clock.begin(board, 5_000_000_000)
        assert air.clock.due(board) > 0
        answer.set()
        air.clock.leave(board)
        assert done.result(10) == (0.0, [], [1.0])


def test_another_emulator_joins_over_tcp() -> None:
    with Air(Clock(real_time=True)) as air:
        port = air.listen()
        a = air.device("a", A)
        air.run(advertise(a))

        async def elsewhere() -> tuple[str, bytes]:
            async with await open_transport(f"tcp-client:127.0.0.1:{port}") as transport:
                own = Address("F0:F1:F2:F3:F4:F5")
                device = Device.with_hci("elsewhere", own, transport.source, transport.sink)
                await device.power_on()
                seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                device.on(Device.EVENT_ADVERTISEMENT, lambda found: seen.done() or seen.set_result(found))
                await device.start_scanning(legacy=True)
                address = (await seen).address
                await device.stop_scanning(legacy=True)
                connection = await device.connect(address)
                peer = Peer(connection)
                await peer.discover_services()
                await connection.disconnect()
                return address.to_string(False), bytes(peer.services[0].uuid)

        address, first = asyncio.run(asyncio.wait_for(elsewhere(), 20))
    assert address == "28:01:02:03:04:01"
    assert first == b"\x00\x18"


def test_rubbish_on_the_tcp_port_ends_that_connection_alone() -> None:
    with Air(Clock(real_time=True)) as air:
        port = air.listen()
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            peer.settimeout(10)
            assert peer.recv(100) == b""
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(b"\x01\x03\x0c\x00")  # HCI reset
            peer.settimeout(10)
            assert peer.recv(100) == b"\x04\x0e\x04\x01\x03\x0c\x00"
