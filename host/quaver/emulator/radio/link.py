"""The air itself: who hears an advertisement, and when a packet on a connection gets through.

A connection is a lane with an anchor every connection interval (Core 5.4, Vol 6, Part B, 4.5.1). Packets of both
sides go one after the other from the anchor on, each for its time on the air at 1 Mbit/s with the two gaps of
150 us and the other side's empty answer, for as long as the event lasts; a packet that comes when the event is
over waits for the next anchor. A packet that is lost ends the event and is sent again at the next one, so loss
costs time and never order or data. When nothing gets through for the supervision timeout, both ends drop.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from bumble import core, hci, ll
from bumble.link import LocalLink

from quaver.emulator.radio.controller import Advertiser, RadioConnection, RadioController, parameters
from quaver.emulator.radio.path import Path, Tally

_BIT_S = 1e-6  # LE 1M
_OVERHEAD = 10  # preamble, access address, header, CRC: bytes around a payload
_IFS_S = 150e-6
_EMPTY_S = _OVERHEAD * 8 * _BIT_S
_CONTROL = 12  # bytes of a link-layer control PDU's payload; they differ a little
_ESTABLISH = 6  # connection intervals in which the first packet must have come (4.5.2)
_TICK_S = 1e-6  # timers are this late at most
_ADV_CHANNELS = 3
_LISTEN_S = _IFS_S + 352e-6  # after each advertisement: time for a CONNECT_IND to begin and to be taken
_Packet = hci.HCI_AclDataPacket | ll.ControlPdu


def _air_s(payload: int) -> float:
    return (_OVERHEAD + payload) * 8 * _BIT_S


class RadioLink(LocalLink):
    """All stations of one air. Its methods run in the air's loop."""

    def __init__(self, seed: int, path: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.random = random.Random(seed)  # noqa: S311 - a seeded simulation
        self._default = path
        self._paths: dict[frozenset[str], Path] = {}
        self._tallies: dict[str, Tally] = {}
        self._lanes: set[Lane] = set()
        # advertisement heard by nobody in particular: whoever wants to watch the air
        self.watchers: list[Callable[[str, bytes, float], None]] = []

    def tally(self, name: str) -> Tally:
        return self._tallies.setdefault(name, Tally())

    def settled(self, name: str) -> Tally:
        """The station's tally with the connections that are still up counted to now."""
        for lane in self._lanes:
            lane.account()
        return self.tally(name)

    def path(self, one: str, other: str) -> Path:
        return self._paths.get(frozenset((one, other)), self._default)

    def set_path(self, one: str, other: str, path: Path) -> None:
        self._paths[frozenset((one, other))] = path
        for lane in list(self._lanes):
            lane.path_changed()

    def _gets_through(self, sender: str, receiver: str) -> bool:
        path = self.path(sender, receiver)
        if not path.in_range:
            return False
        if path.loss and self.random.random() < path.loss:
            self.tally(receiver).lost += 1
            return False
        return True

    # Advertising.

    def advertise(self, sender: RadioController, advertiser: Advertiser) -> None:
        """One advertising event: the same PDU on all three channels."""
        tally = self.tally(sender.name)
        tally.advertisements += 1
        air = _air_s(6 + len(advertiser.advertising_data))
        tally.transmit_s += _ADV_CHANNELS * air
        tally.radio_s += _ADV_CHANNELS * (air + (_LISTEN_S if advertiser.kind != 3 else 0.0))
        address = advertiser.address
        loop = asyncio.get_running_loop()
        for watcher in self.watchers:
            watcher(sender.name, bytes(advertiser.advertising_data), loop.time())
        for station in sorted(self.controllers, key=lambda c: c.name):  # a set: its order is not seeded
            if station is sender or not advertiser.enabled:
                continue
            assert isinstance(station, RadioController)
            if not station.listens() or not self._gets_through(sender.name, station.name):
                continue
            path = self.path(sender.name, station.name)
            if path.latency_s:
                loop.call_later(path.latency_s, self._late, sender, station, advertiser, address, path.rssi)
            else:
                station.hear(advertiser, address, path.rssi)

    @staticmethod
    def _late(
        sender: RadioController, station: RadioController, advertiser: Advertiser, address: hci.Address, rssi: int
    ) -> None:
        if advertiser.enabled:
            station.hear(advertiser, address, rssi)

    def connect(self, central: RadioController, advertiser: Advertiser, address: hci.Address, pending: Any) -> None:
        """`central` answers an advertisement with CONNECT_IND."""
        peripheral = advertiser.controller
        assert isinstance(peripheral, RadioController)
        own = central.public_address if pending.own_address_type in (0, 2) else central.random_address
        interval, timeout = parameters(pending)
        lane = Lane(self, central.name, peripheral.name, interval, timeout)
        heard = self._gets_through(central.name, peripheral.name)
        if heard:
            advertiser.stop()
        self._lanes.add(lane)
        lane.open(
            central.join(hci.Role.CENTRAL, own, address, lane),
            peripheral.join(hci.Role.PERIPHERAL, address, own, lane) if heard else None,
        )

    def ended(self, lane: Lane) -> None:
        self._lanes.discard(lane)

    # What Bumble's controller sends by itself goes over the lanes; there is no classic radio here.

    def send_advertising_pdu(self, sender_controller: Any, packet: Any) -> None:
        raise RuntimeError(f"{sender_controller.name}: an advertising PDU past advertise(), which knows path and time")

    def send_acl_data(self, sender_controller: Any, destination_address: Any, transport: Any, data: bytes) -> None:
        raise RuntimeError(f"{sender_controller.name}: ACL data past its connection's lane, which knows path and time")

    def find_classic_controller(self, address: hci.Address) -> None:
        return None

    def send_lmp_packet(self, sender_controller: Any, receiver_address: Any, packet: Any) -> None:
        raise core.InvalidArgumentError("this air carries Bluetooth LE alone")


class Lane:
    """One connection: its two ends, its anchors, what is queued in each direction."""

    def __init__(self, link: RadioLink, central: str, peripheral: str, interval_s: float, timeout_s: float) -> None:
        self._link = link
        self._names = (central, peripheral)
        self._loop = asyncio.get_running_loop()
        self.interval_s = interval_s
        self.timeout_s = timeout_s
        self._anchor = self._loop.time() + interval_s
        self._free_at = 0.0  # until when the running event is taken; past: the event is over
        self._queue: deque[tuple[RadioConnection, _Packet]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._supervision: asyncio.TimerHandle | None = None
        self._ends: list[RadioConnection | None] = [None, None]
        self._accounted = self._loop.time()

    def open(self, central: RadioConnection, peripheral: RadioConnection | None) -> None:
        self._ends = [central, peripheral]
        self._link.tally(self._names[0]).connections += 1
        if peripheral is None:
            self._supervision = self._loop.call_later(
                _ESTABLISH * self.interval_s,
                self._drop_all,
                hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR,
            )
        else:
            self._link.tally(self._names[1]).connections += 1
            self.path_changed()

    # Sending.

    def send(self, end: RadioConnection, packet: _Packet) -> None:
        """Queue a PDU of one end."""
        if end not in self._ends:
            return
        self._queue.append((end, packet))
        if self._timer is None and None not in self._ends:
            self._next()

    def _next(self) -> None:
        """Plan the exchange of the packet at the head of the queue."""
        now = self._loop.time()
        _, packet = self._queue[0]
        air = self._exchange_s(packet)
        start = self._free_at if self._free_at > now - _TICK_S else self._next_anchor(now)
        if start + air > self._next_anchor(start + 1e-9):  # an event ends before the next one begins
            start = self._next_anchor(start + 1e-9)
        self._free_at = start + air
        self._timer = self._loop.call_at(start + air, self._over, air)

    def _exchange_s(self, packet: _Packet) -> float:
        size = len(packet.data) if isinstance(packet, hci.HCI_AclDataPacket) else _CONTROL
        return _air_s(size) + _IFS_S + _EMPTY_S + _IFS_S

    def _next_anchor(self, now: float) -> float:
        return self._anchor + math.ceil(max(0.0, (now - self._anchor) / self.interval_s) - 1e-9) * self.interval_s

    def _over(self, air: float) -> None:
        """The exchange that was planned has ended, well or not."""
        self._timer = None
        for name in self._names:
            self._link.tally(name).radio_s += air
        if None in self._ends:
            return  # an end has gone meanwhile: no packet gets an answer any more, until the other end notices
        end, packet = self._queue[0]
        side = self._ends.index(end)
        self._link.tally(self._names[side]).transmit_s += air - 2 * _IFS_S - _EMPTY_S
        self._link.tally(self._names[1 - side]).transmit_s += _EMPTY_S
        if self._link._gets_through(self._names[side], self._names[1 - side]):
            self._queue.popleft()
            if not self._queue:
                self._free_at = 0.0  # nobody has more data: the event closes, and an answer waits for the next
            self._deliver(end, packet, side)
        else:
            self._free_at = 0.0  # a packet without an answer closes the event
        if self._queue and self._timer is None and None not in self._ends:
            self._next()

    def _deliver(self, end: RadioConnection, packet: _Packet, side: int) -> None:
        other = self._ends[1 - side]
        assert other is not None
        if isinstance(packet, hci.HCI_AclDataPacket):
            self._link.tally(self._names[side]).sent += len(packet.data)
            self._link.tally(self._names[1 - side]).received += len(packet.data)
            if end.controller.le_connections.get(end.peer_address) is end:
                end.controller.carried(end)  # type: ignore[attr-defined]
        late = self._link.path(*self._names).latency_s
        if late:
            self._loop.call_later(late, self._arrive, other, packet)
        else:
            self._arrive(other, packet)

    def _arrive(self, end: RadioConnection, packet: _Packet) -> None:
        if end in self._ends:
            end.controller.arrive(end, packet)  # type: ignore[attr-defined]
            if isinstance(packet, ll.TerminateInd):
                self._close()

    # The end.

    def path_changed(self) -> None:
        """Watch over a connection whose ends can't hear each other; leave one alone whose ends can."""
        reachable = self._link.path(*self._names).in_range and None not in self._ends
        if reachable:
            if self._supervision is not None:
                self._supervision.cancel()
                self._supervision = None
        elif self._supervision is None:
            self._supervision = self._loop.call_later(
                self.timeout_s, self._drop_all, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
            )

    def retime(self, interval_s: float, timeout_s: float) -> None:
        """New parameters from the next anchor on."""
        self._anchor = self._next_anchor(self._loop.time())
        self.interval_s = interval_s
        self.timeout_s = timeout_s

    def abandon(self, end: RadioConnection) -> None:
        """One end is gone without a word."""
        if end in self._ends:
            self._ends[self._ends.index(end)] = None
            if self._ends == [None, None]:
                self._close()
            else:
                self.path_changed()

    def drop(self, end: RadioConnection, reason: int) -> None:
        """One end gives the connection up."""
        end.controller.on_le_disconnected(end, reason)
        self.abandon(end)

    def _drop_all(self, reason: int) -> None:
        self._supervision = None
        for end in list(self._ends):
            if end is not None:
                end.controller.on_le_disconnected(end, reason)
        self._close()

    def _close(self) -> None:
        self.account()
        for timer in (self._timer, self._supervision):
            if timer is not None:
                timer.cancel()
        self._timer = self._supervision = None
        self._queue.clear()
        self._ends = [None, None]
        self._link.ended(self)

    def account(self) -> None:
        """Count the time since the last account: empty packets at each anchor keep a connection alive."""
        now = self._loop.time()
        passed, self._accounted = now - self._accounted, now
        if self._ends == [None, None]:
            return
        for name in self._names:
            tally = self._link.tally(name)
            tally.connected_s += passed
            tally.radio_s += passed / self.interval_s * (2 * _EMPTY_S + _IFS_S)
            tally.transmit_s += passed / self.interval_s * _EMPTY_S
