"""Strangers within radio range of a node and its gateway, and at their broker: what each does, and what it gets.

Each has what a stranger can have: what it hears, the formats, which are public, and the link key of a gateway that was
stolen and revoked. Nothing of what they do may have an effect; what has one is told in `Tally.gained`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError
from bumble import gatt as bumble_gatt
from bumble.core import UUID, BaseBumbleError
from bumble.device import Connection, Device
from bumble.hci import HCI_CONNECTION_TIMEOUT_ERROR, OwnAddressType
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quaver.emulator.lan import Lan
from quaver.emulator.radio import Air
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.site_broker import Message, SiteBroker
from quaver.fleet.link_keys import LinkKey
from quaver.gateway.links import Link
from quaver_wire import chunks, gatt, gatt_session
from quaver_wire import session as wire

_MADE = bytes.fromhex("f00d00000000")  # addresses of strangers' radios
_FIND_S = 150.0  # for which a stranger listens for its victim
_HELD_S = 5.0  # after which a stranger hangs up by itself
_MOST_S = 1.5  # a node's second for a peer without proof, and what it takes to hang up
_FAKE_S = 15.0  # for which an impostor advertises
_EARLY_S = 15  # of a wait, in which there is time for another try
_WHOLE = 3  # chunks of a gateway in a connection in which it has taken a record
_KIND = 3  # of a message, in its first chunk
_LOST = (BleakError, BaseBumbleError, TimeoutError, asyncio.TimeoutError)


@dataclass
class Tally:
    """What strangers did. made: how often, by kind; met: how often of these somebody answered, or could be reached.

    held_s: how long a node held a connection with one of them at most. gained: each effect that there must not be.
    """

    made: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    held_s: float = 0.0
    gained: list[str] = field(default_factory=list)


async def _end(*doing: asyncio.Future[None]) -> None:
    """What a stranger still does is over; it may have lost its connection, or been refused."""
    for one in doing:
        one.cancel()
    for error in await asyncio.gather(*doing, return_exceptions=True):
        if isinstance(error, Exception) and not isinstance(error, (ValueError, *_LOST)):
            raise error


def _first(chunk: bytes) -> bool:
    return len(chunk) > _KIND and bool(chunk[0] & 0x80)


def _cut(message: bytes, limit: int = chunks.MESSAGE_MAX) -> list[bytes]:
    buffer = bytearray(chunks.SIZE_MAX)
    return [bytes(buffer[:length]) for length in chunks.split(message, chunks.SIZE_MAX, buffer, limit)]


class _Talk:
    """A stranger's connection to a node. heard: whole messages of the node."""

    def __init__(self, client: BleakClient, down: Any) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._assembler = chunks.Assembler()
        self._client = client
        self._down = down
        self.kinds: set[int] = set()

    def hear(self, _: object, data: bytearray) -> None:
        if (whole := self._assembler.feed(bytes(data))) is not None:
            self.kinds.add(whole[0])
            self.heard.put_nowait(whole)

    async def raw(self, chunk: bytes) -> None:
        await self._client.write_gatt_char(self._down, chunk, response=False)

    async def say(self, message: bytes) -> None:
        for chunk in _cut(message):
            await self.raw(chunk)


class Nearby:
    """Strangers in radio range; its coroutines run in the air. node: (its radio's address, its id).

    gateway: its name. revoked: the name and the link key of one that was revoked; told(): whether the node knows that.
    """

    def __init__(
        self,
        air: Air,
        chance: random.Random,
        node: tuple[bytes, bytes],
        gateway: str,
        revoked: tuple[str, LinkKey],
        told: Callable[[], bool],
        tally: Tally,
    ) -> None:
        self._air = air
        self._chance = chance
        self._address, self._id = node[0].hex(":").upper(), node[1]
        self._gateway = gateway
        self._revoked = revoked
        self._told = told
        self.tally = tally
        self._turn = asyncio.Lock()
        self._fake_turn = asyncio.Lock()
        self.recorded: list[bytes] = []  # what a gateway once wrote in a whole connection
        self.answered: list[bytes] = []  # and what its node did
        self._devices = 0
        self.to_node: dict[str, Callable[[_Talk], Awaitable[None]]] = {
            "says nothing": self._nothing,
            "garbage": self._garbage,
            "a message without an end": self._endless,
            "a flood": self._flood,
            "an old gateway": self._old,
            "a forged greeting": self._forged_greeting,
            "forged acknowledgements": self._forged_acknowledgements,
            "a forged command": self._forged_command,
            "another version": self._other_version,
            "a revoked gateway": self._thief,
            "a connection played back": self._played_back,
        }
        self.to_gateway: dict[str, Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]]] = {
            "a node that says nothing": self._mute,
            "a node that sends garbage": self._noise,
            "a node that floods": self._deluge,
            "a node of an unknown kind": self._odd,
            "a node's answers played back": self._echo,
            "records without a proof": self._unproven,
            "a node of before link keys": self._mute,
            "a node that nobody knows": self._mute,
        }

    async def enter(self) -> None:
        """Be there."""
        self._radio = await self._device("stranger")
        self._scanner, self._client = backends(self._radio)
        self._radio.on(Device.EVENT_CONNECTION, self._connected)
        self._impostor = _FakeNode(await self._device("impostor"))
        self._middle = _FakeNode(await self._device("middle"))
        self._middle_scanner, self._middle_client = backends(await self._device("middle's other"))

    async def _device(self, name: str) -> Device:
        self._devices += 1
        return await self._air.make_device(name, _MADE[:5] + bytes((self._devices,)))

    def _connected(self, connection: Connection) -> None:
        began = self._air.loop.time()

        def ended(reason: int) -> None:
            if reason != HCI_CONNECTION_TIMEOUT_ERROR:  # the node has lost its power, or is out of range
                self.tally.held_s = max(self.tally.held_s, self._air.loop.time() - began)

        connection.on(Connection.EVENT_DISCONNECTION, ended)

    async def _seek(self, scanner: Any) -> Any:
        """The node, when it advertises itself."""
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def heard(device: Any, _: Any) -> None:
            if device.address.upper() == self._address and not found.done():
                found.set_result(device)

        async with BleakScanner(heard, backend=scanner), asyncio.timeout(_FIND_S):
            return await found

    async def attack_node(self, name: str) -> None:
        """Connect to the node and do one of `to_node`."""
        if name == "a revoked gateway" and not self._told():
            return
        if name == "a connection played back" and not self.recorded:
            return  # nobody has heard one yet
        self.tally.made[name] += 1
        async with self._turn:
            gone = asyncio.Event()
            talk = None
            with contextlib.suppress(*_LOST):
                device = await self._seek(self._scanner)
                async with BleakClient(
                    device, lambda _: gone.set(), backend=self._client, services=[gatt.SERVICE], timeout=10
                ) as client:
                    self.tally.met[name] += 1
                    down = client.services.get_characteristic(gatt.DOWNLINK)
                    up = client.services.get_characteristic(gatt.UPLINK)
                    if up is None or down is None:
                        return
                    talk = _Talk(client, down)
                    await client.start_notify(up, talk.hear)
                    doing = asyncio.ensure_future(self.to_node[name](talk))
                    try:
                        async with asyncio.timeout(_HELD_S):
                            await gone.wait()
                    finally:
                        await _end(doing)
            if talk and not talk.kinds <= {gatt.CHALLENGE, gatt.REFUSED}:
                self.tally.gained.append(f"{name}: the node said messages of the kinds {sorted(talk.kinds)}")
        if self.tally.held_s > _MOST_S:
            self.tally.gained.append(f"{name}: the node held the connection for {self.tally.held_s:.2f} s")
            self.tally.held_s = 0.0

    def _bytes(self, most: int) -> bytes:
        return self._chance.randbytes(self._chance.randint(1, most))

    def _hello(self) -> bytes:
        key = LinkKey(self._id, 1, 1, self._chance.randbytes(32))
        return Link(self._gateway, key).hello

    async def _nothing(self, talk: _Talk) -> None:
        await asyncio.sleep(60)

    async def _garbage(self, talk: _Talk) -> None:
        for _ in range(self._chance.randint(1, 5)):
            await talk.raw(self._bytes(200))

    async def _endless(self, talk: _Talk) -> None:
        await talk.raw(b"\x80\xff\xff" + bytes(200))

    async def _flood(self, talk: _Talk) -> None:
        for _ in range(200):
            await talk.say(gatt.time_message(1))

    async def _old(self, talk: _Talk) -> None:
        await talk.say(gatt.time_message(1))
        await talk.say(gatt.ack(1))

    async def _forged_greeting(self, talk: _Talk) -> None:
        await talk.say(self._hello())
        await talk.heard.get()
        await talk.say(gatt.time_message(1) + self._chance.randbytes(8))

    async def _forged_acknowledgements(self, talk: _Talk) -> None:
        await talk.say(self._hello())
        await talk.heard.get()
        for number in range(1, 20):
            await talk.say(gatt.ack(number) + self._chance.randbytes(8))

    async def _forged_command(self, talk: _Talk) -> None:
        await talk.say(self._hello())
        await talk.heard.get()
        await talk.say(gatt.command(self._bytes(300)) + self._chance.randbytes(8))

    async def _other_version(self, talk: _Talk) -> None:
        hello = self._hello()
        await talk.say(hello[:1] + bytes((self._chance.randint(2, 255),)) + hello[2:])

    async def _thief(self, talk: _Talk) -> None:
        name, key = self._revoked
        way = Link(name, key)
        await talk.say(way.hello)
        session = way.answered(await talk.heard.get())  # a REFUSED is a ValueError
        await talk.say(session.sign(gatt.time_message(1)))
        await talk.heard.get()

    async def _played_back(self, talk: _Talk) -> None:
        for chunk in list(self.recorded):
            await talk.raw(chunk)

    # What a gateway meets.

    async def pose(self, name: str) -> None:
        """Advertise as a node with an alarm, and do one of `to_gateway` to a gateway that comes."""
        if name == "a node's answers played back" and not self.answered:
            return
        self.tally.made[name] += 1
        node_id = self._chance.randbytes(8) if name == "a node that nobody knows" else self._id
        secret = 0 if name == "a node of before link keys" else gatt.SECRET
        async with self._fake_turn:
            fake = self._impostor
            with contextlib.suppress(*_LOST):
                await fake.advertise(node_id, secret)
                try:
                    async with asyncio.timeout(_FAKE_S):
                        await fake.heard.get()
                        self.tally.met[name] += 1
                        await self.to_gateway[name](fake.notify)
                        await fake.gone.wait()
                except TimeoutError:
                    pass
                finally:
                    await fake.leave()
            if fake.kinds - {gatt.HELLO}:
                self.tally.gained.append(f"{name}: the gateway said messages of the kinds {sorted(fake.kinds)}")

    async def _mute(self, notify: Callable[[bytes], Awaitable[None]]) -> None:
        await asyncio.sleep(0)

    async def _noise(self, notify: Callable[[bytes], Awaitable[None]]) -> None:
        await notify(self._bytes(100))

    async def _deluge(self, notify: Callable[[bytes], Awaitable[None]]) -> None:
        await notify(b"\x80\x02\x00" + bytes(17))
        for count in range(1, 200):
            await notify(bytes((count & 0x3F,)) + b"x")

    async def _odd(self, notify: Callable[[bytes], Awaitable[None]]) -> None:
        await notify(_cut(bytes((self._chance.randint(8, 255),)) + self._bytes(100))[0])

    async def _echo(self, notify: Callable[[bytes], Awaitable[None]]) -> None:
        for chunk in list(self.answered):
            await notify(chunk)

    async def _unproven(self, notify: Callable[[bytes], Awaitable[None]]) -> None:
        for number in range(1, 4):
            await notify(_cut(gatt.record("telemetry", number, self._bytes(200)))[0])

    # Between a gateway and its node, which do not hear each other then.

    async def stand_between(self, seconds: float, apart: Callable[[bool], None]) -> None:
        """Relay connections for so long, altered or not. apart(there): nothing else gets from one to the other."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        apart(True)
        try:
            while loop.time() < until:
                with contextlib.suppress(*_LOST):
                    await self._relay(self._chance.choice(list(_ALTERATIONS)))
        finally:
            apart(False)

    async def _relay(self, name: str) -> None:
        device = await self._seek(self._middle_scanner)
        fake = self._middle
        await fake.advertise(self._id, gatt.SECRET)
        try:
            async with asyncio.timeout(_FAKE_S):
                hello = await fake.heard.get()
            self.tally.made[f"between: {name}"] += 1
            await self._carry(name, device, fake, hello)
        finally:
            await fake.leave()

    async def _carry(self, name: str, device: Any, fake: _FakeNode, hello: bytes) -> None:
        alter = _ALTERATIONS[name]()
        written: list[bytes] = []
        answered: list[bytes] = []
        upward: asyncio.Queue[bytes] = asyncio.Queue()
        async with BleakClient(
            device,
            lambda _: fake.gone.set(),
            backend=self._middle_client,
            services=[gatt.SERVICE],
            timeout=10,
        ) as client:
            down = client.services.get_characteristic(gatt.DOWNLINK)
            up = client.services.get_characteristic(gatt.UPLINK)
            if up is None or down is None:
                return
            await client.start_notify(up, lambda _, data: upward.put_nowait(bytes(data)))

            def check(chunk: bytes, harmless: tuple[int, ...]) -> None:
                if alter.done and alter.ends and _first(chunk) and chunk[_KIND] not in harmless:
                    self.tally.gained.append(f"between: {name}: a message of kind {chunk[_KIND]} came after it")

            async def downward() -> None:
                chunk = hello
                while True:
                    check(chunk, (gatt.HELLO,))
                    written.append(chunk)
                    for part in alter.down(chunk):
                        await client.write_gatt_char(down, part, response=False)
                    chunk = await fake.heard.get()

            async def back() -> None:
                while True:
                    chunk = await upward.get()
                    check(chunk, (gatt.CHALLENGE, gatt.REFUSED))
                    answered.append(chunk)
                    for part in alter.up(chunk):
                        await fake.notify(part)

            ways = [asyncio.ensure_future(downward()), asyncio.ensure_future(back())]
            try:
                async with asyncio.timeout(60):
                    await fake.gone.wait()
            finally:
                await _end(*ways)
                if alter.done:
                    self.tally.met[f"between: {name}"] += 1
                elif not alter.ends and answered:
                    self.tally.met[f"between: {name}"] += 1
                    if len(written) >= _WHOLE:
                        self.recorded, self.answered = written, answered


class _Alteration:
    """Of what goes down to the node, or up. done: it has happened; ends: nothing may be believed after it."""

    ends = False

    def __init__(self) -> None:
        self.done = False

    def down(self, chunk: bytes) -> list[bytes]:
        return [chunk]

    def up(self, chunk: bytes) -> list[bytes]:
        return [chunk]


def _flip(kind: int, place: int, upward: bool) -> type[_Alteration]:
    """One bit, once, of a message of that kind: at `place` behind the kind, or before the end."""

    class Flipped(_Alteration):
        ends = True

        def _alter(self, chunk: bytes) -> list[bytes]:
            if self.done or not _first(chunk) or chunk[_KIND] != kind:
                return [chunk]
            altered = bytearray(chunk)
            altered[place if place < 0 else _KIND + place] ^= 1
            self.done = True
            return [bytes(altered)]

        def down(self, chunk: bytes) -> list[bytes]:
            return [chunk] if upward else self._alter(chunk)

        def up(self, chunk: bytes) -> list[bytes]:
            return self._alter(chunk) if upward else [chunk]

    return Flipped


def _twice(kind: int) -> type[_Alteration]:
    class Twice(_Alteration):
        def down(self, chunk: bytes) -> list[bytes]:
            if not _first(chunk) or chunk[_KIND] != kind:
                return [chunk]
            self.done = True
            return [chunk, chunk]

    return Twice


class _Withheld(_Alteration):
    """The first record does not get to the gateway."""

    def up(self, chunk: bytes) -> list[bytes]:
        if self.done or not _first(chunk) or not 0 < chunk[_KIND] < gatt.WANT:
            return [chunk]
        self.done = True
        return []


_TELEMETRY = gatt.RECORD_CLASSES.index("telemetry")
_ALTERATIONS: dict[str, type[_Alteration]] = {
    "nothing altered": _Alteration,
    "an acknowledgement's number": _flip(gatt.ACK, 2, False),
    "an acknowledgement's tag": _flip(gatt.ACK, -1, False),
    "an acknowledgement twice": _twice(gatt.ACK),
    "the time": _flip(gatt.TIME, 4, False),
    "the time twice": _twice(gatt.TIME),
    "the gateway's name": _flip(gatt.HELLO, 20, False),
    "the node's nonce": _flip(gatt.CHALLENGE, 2, True),
    "a record": _flip(_TELEMETRY, 40, True),
    "a record withheld": _Withheld,
}


class _FakeNode:
    """A station that advertises as a node. heard: chunks that a gateway wrote; kinds: of whole messages among them."""

    def __init__(self, device: Device) -> None:
        self._device = device
        kinds = bumble_gatt.Characteristic.Properties
        nobody = bumble_gatt.Characteristic.Permissions(0)
        writeable = bumble_gatt.Characteristic.Permissions.WRITEABLE
        self._up: Any = bumble_gatt.Characteristic(UUID(gatt.UPLINK), kinds.NOTIFY, nobody, b"")
        heard: Any = bumble_gatt.CharacteristicValue(write=self._written)
        down: Any = bumble_gatt.Characteristic(
            UUID(gatt.DOWNLINK), kinds.WRITE | kinds.WRITE_WITHOUT_RESPONSE, writeable, heard
        )
        device.add_services([bumble_gatt.Service(UUID(gatt.SERVICE), [self._up, down])])
        device.on(Device.EVENT_CONNECTION, self._connected)
        self._facing: Connection | None = None
        self._begin()

    def _begin(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.kinds: set[int] = set()

    def _connected(self, connection: Connection) -> None:
        self._facing = connection
        connection.on(Connection.EVENT_DISCONNECTION, lambda _: self._left())

    def _left(self) -> None:
        self._facing = None
        self.gone.set()

    def _written(self, connection: Connection, data: bytes) -> None:
        if _first(data):
            self.kinds.add(data[_KIND])
        self.heard.put_nowait(bytes(data))

    async def advertise(self, node_id: bytes, secret: int) -> None:
        """As a node with an alarm."""
        self._begin()
        data = bytearray(gatt.ADVERTISEMENT)
        gatt.put_advertisement(data, node_id, secret | gatt.PENDING | gatt.ALARM, 9)
        await self._device.start_advertising(
            own_address_type=OwnAddressType.PUBLIC,
            advertising_data=bytes(data),
            advertising_interval_min=100,
            advertising_interval_max=100,
        )

    async def notify(self, chunk: bytes) -> None:
        if self._facing is not None:
            await self._device.gatt_server.notify_subscriber(self._facing, self._up, chunk, force=True)

    async def leave(self) -> None:
        if self._device.is_advertising:
            await self._device.stop_advertising()
        if self._facing is not None:
            with contextlib.suppress(*_LOST):
                await self._facing.disconnect()


class Guesser:
    """Tries codes at a blank node over Bluetooth, as fast as it takes them. code: the right one, for the very end.

    wrong: how many the node has judged; early: how many it did not look at, for it was not yet time.
    """

    def __init__(self, air: Air, chance: random.Random, address: bytes, code: str, tally: Tally) -> None:
        self._air = air
        self._chance = chance
        self._address = address.hex(":").upper()
        self._code = code
        self._tally = tally
        self.wrong = self.early = 0

    async def enter(self) -> None:
        device = await self._air.make_device("guesser", _MADE[:5] + b"\xff")
        self._scanner, self._client = backends(device)

    async def guess(self, until: float) -> None:
        """Wrong codes until that moment; each is tried once before it is time, too."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            code = "".join(self._chance.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=16))
            reason, seconds = await self._try(code)
            if reason == "wrong_code":
                self.wrong += 1
                if seconds > _EARLY_S:
                    reason, _ = await self._try(self._code)  # the right one neither
            if reason == "wait":
                self.early += 1
            elif reason == "open":
                self._tally.gained.append("a code was taken that is wrong, or came before it was time")
            await asyncio.sleep(min(max(seconds, 1), max(until - loop.time(), 0)))

    async def right(self) -> bool:
        """Whether the right code still opens a session, once it is time."""
        for _ in range(20):
            reason, seconds = await self._try(self._code)
            if reason == "open":
                return True
            await asyncio.sleep(seconds + 1)
        return False

    async def _try(self, code: str) -> tuple[str, int]:
        """(the node's reason, "open", or "" when it is not there; seconds to wait)"""
        with contextlib.suppress(*_LOST):
            found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            def heard(device: Any, _: Any) -> None:
                if device.address.upper() == self._address and not found.done():
                    found.set_result(device)

            async with BleakScanner(heard, backend=self._scanner), asyncio.timeout(10):
                device = await found
            async with BleakClient(device, backend=self._client, services=[gatt_session.SERVICE]) as client:
                async with asyncio.timeout(30):
                    return await self._handshake(client, code)
        return "", 5

    async def _handshake(self, client: BleakClient, code: str) -> tuple[str, int]:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        assembler = chunks.Assembler(gatt_session.MESSAGE_MAX)

        def hear(_: object, data: bytearray) -> None:
            if (whole := assembler.feed(bytes(data))) is not None:
                heard.put_nowait(whole)

        async def say(message: bytes) -> bytes:
            for chunk in _cut(message, gatt_session.MESSAGE_MAX):
                await client.write_gatt_char(gatt_session.TO_NODE, chunk, response=True)
            while (answer := await heard.get())[0] == wire.PROGRESS:
                pass
            return answer

        await client.start_notify(gatt_session.TO_HOST, hear)
        private = X25519PrivateKey.from_private_bytes(self._chance.randbytes(32))
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        answer = await say(bytes((wire.HELLO_HOST, wire.VERSION)) + public)
        if answer[0] == wire.HELLO_NODE:
            shared = private.exchange(X25519PublicKey.from_public_bytes(answer[14:]))
            keys = wire.Keys(shared, code.encode(), answer[6:14], public, answer[14:])
            answer = await say(bytes((wire.PROOF_HOST,)) + keys.host_proof)
        if answer[0] == wire.PROOF_NODE:
            return "open", 0
        return wire.REASONS[answer[1]], answer[2] << 8 | answer[3]


class AtBroker:
    """Strangers who may publish at the site's broker, or answer in its place; in the network's thread.

    topics: prefixes of those who take commands. date: answers a question for the date, as the site's time server does.
    """

    def __init__(
        self,
        lan: Lan,
        broker: SiteBroker,
        chance: random.Random,
        topics: Sequence[str],
        date: Callable[[bytes, float], bytes | None],
        tally: Tally,
    ) -> None:
        self._lan = lan
        self._broker = broker
        self._chance = chance
        self._topics = topics
        self._date = date
        self.tally = tally
        self.commands: list[tuple[str, bytes]] = []  # genuine ones that were heard, and where
        broker.receive("+/+/+/+/+/command", self._hear)
        self._forging = False

    def _hear(self, message: Message) -> None:
        if not self._forging and message.payload:
            self.commands = [*self.commands[-20:], (message.topic, message.payload)]

    def _publish(self, name: str, topic: str, payload: bytes, retain: bool = False) -> None:
        self.tally.made[name] += 1
        self._forging = True
        self._broker.publish(Message(topic, payload, 1, retain))
        self._forging = False

    async def garbage(self) -> None:
        """On the topics of records, of releases, and of nobody."""
        chance = self._chance
        for _ in range(20):
            prefix = chance.choice([*self._topics, "works/yard/line-3/pump/nobody", "a"])
            last = chance.choice(("telemetry", "event", "status", "answer", "release/00/0", "config", "x" * 300))
            size = chance.choice((1, 8, 40, 200, 700, 5000))
            self._publish("garbage on topics", f"{prefix}/{last}", chance.randbytes(size))

    async def forged_commands(self) -> None:
        """Noise, commands with a bit altered, and old ones again; the last of them retained for a while."""
        chance = self._chance
        for number in range(6):
            topic = chance.choice(self._topics) + "/command"
            kind = chance.choice(("noise", "altered", "again")) if self.commands else "noise"
            payload = chance.randbytes(chance.choice((1, 30, 200, 560, 561, 2000)))
            if kind != "noise":
                topic, genuine = chance.choice(self.commands)
                payload = genuine
                if kind == "altered":
                    spoiled = bytearray(genuine)
                    spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
                    payload = bytes(spoiled)
            if number:
                self._publish(f"commands: {kind}", topic, payload)
            else:
                self._publish(f"commands: {kind}", topic, payload, retain=True)
                self._lan.loop.call_later(1800, self._publish, "commands: none", topic, b"", True)

    async def replace_broker(self, seconds: float) -> None:
        """Answer in the broker's place for so long."""
        manner = self._chance.choice(("silence", "garbage", "an endless packet", "nonsense once it has connected"))
        self.tally.made[f"false broker: {manner}"] += 1
        self._broker.restart()
        self._lan.serve(1883, lambda: _FalseBroker(manner, self._chance, self.tally))
        await asyncio.sleep(seconds)
        self._lan.serve(1883, self._broker.connection)

    async def replace_time(self, seconds: float) -> None:
        """Answer with garbage in the time server's place for so long."""
        self.tally.made["false time server"] += 1
        self._lan.answer(123, self._nonsense)
        await asyncio.sleep(seconds)
        self._lan.answer(123, self._date)

    def _nonsense(self, request: bytes, now_s: float) -> bytes | None:
        self.tally.met["false time server"] += 1
        right = self._date(request, now_s) or bytes(48)
        return self._chance.choice(
            (
                self._chance.randbytes(48),
                right[:20],
                b"\x24\x00" + right[2:],  # kiss of death: RFC 5905, section 7.4
                b"\xe4" + right[1:],  # not synchronised
                right[:24] + self._chance.randbytes(8) + right[32:],  # an answer to another question
            )
        )


class _FalseBroker(asyncio.Protocol):
    def __init__(self, manner: str, chance: random.Random, tally: Tally) -> None:
        self._manner = manner
        self._chance = chance
        self._tally = tally
        self._said = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._said:
            self._tally.met[f"false broker: {self._manner}"] += 1
        self._said += 1
        if self._manner == "garbage":
            self._transport.write(self._chance.randbytes(64))
        elif self._manner == "an endless packet":
            self._transport.write(b"\x20\x02\x00\x00" if self._said == 1 else b"\x30\xff\xff\xff\x7f" + bytes(500))
        elif self._manner == "nonsense once it has connected":
            self._transport.write(b"\x20\x02\x00\x00" if self._said == 1 else self._chance.randbytes(200))
