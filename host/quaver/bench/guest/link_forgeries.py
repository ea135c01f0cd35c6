"""Runs on MicroPython's unix port: what a node's own code makes of forged acknowledgements, times and commands.

The node is the whole of its link (links.ble, node.gateways), with records in its outbox and on flash. aioble is
replaced: a connection hands messages over at once, to and from somebody in the middle, who lets a genuine gateway greet
the node, and then says one thing that this gateway did not.
"""

import random
import sys

import vfs
from nor_flash import NorFlash

_BLOCKS = 24
_SHOWN = 9  # failures that are told
_NAME, _REVOKED = b"gw", b"stolen"
_NOW = 1_800_000_000_000
_FORGED = 1_700_000_000_000


class _Gone(Exception):
    """The peer has left."""


class _Over(Exception):
    """There is nobody else to come."""


class _Limit:
    """A time limit that nothing reaches: who has nothing to say leaves at once."""

    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


class _Characteristic:
    def __init__(self, service, uuid, **_):
        self.peer = None

    def notify(self, connection, chunk):
        connection.hear(bytes(chunk))

    async def written(self):
        return self.peer, self.peer.next()


class _Aioble:
    """What links.ble asks of aioble. advertise: gives the next peer."""

    DeviceDisconnectedError = _Gone
    Characteristic = BufferedCharacteristic = _Characteristic

    class core:
        class ble:
            def gap_advertise(interval):
                pass

        def register_irq_handler(handler, shutdown):
            pass

    def __init__(self):
        self.advertise = None

    def Service(self, uuid):
        return self

    def config(self, **_):
        pass

    def register_services(self, *_):
        pass


radio = sys.modules["aioble"] = _Aioble()

from links import visit as visit_module  # noqa: E402
from links.ble import Ble  # noqa: E402
from node import gateways as gateways_module  # noqa: E402
from node import greeting  # noqa: E402, F401  stays: what it costs to read it again is no part of this
from node.outbox import Outbox  # noqa: E402
from node.seal import Ccm  # noqa: E402
from quaver_wire import chunks, gatt, hkdf, link, link_gateway, link_session  # noqa: E402, F401


class _Gateways(gateways_module.Gateways):
    def begin(self):
        self.nonce = bytes(random.getrandbits(8) for _ in range(16))


def _cipher(key):
    return Ccm(key, 0)


class _Peer:
    """One connection. attack: (what, way), None for the genuine gateway alone; stays: acknowledges records too."""

    mtu = 247
    _conn_handle = 0

    def __init__(self, trial, attack, stays=False):
        self._trial = trial
        self.attack = attack
        self._stays = stays
        self._assembler = chunks.Assembler(gatt.CONTENT_MAX)
        self._waiting = []
        self._session = None
        self._here = True
        self.said = False  # the forged message
        self.records = []
        what, way = attack or ("", "")
        name = _REVOKED if way == "of a revoked gateway" else _NAME
        self._key = trial.keys[name]
        if way == "without the key":
            self._key = bytes(random.getrandbits(8) for _ in range(32))
        self._hello = link_gateway.hello(1, 1, bytes(random.getrandbits(8) for _ in range(16)), name)
        self._send(self._hello)

    # As aioble's connection.

    def timeout(self, _):
        return _Limit()

    def is_connected(self):
        return self._here

    async def disconnect(self, timeout_ms):
        self._here = False

    # As a peer.

    def next(self):
        if not self._waiting:
            self._here = False
            raise _Gone
        return self._waiting.pop(0)

    def _send(self, message):
        buffer = bytearray(chunks.SIZE_MAX)
        for length in chunks.split(message, chunks.SIZE_MAX, buffer):
            self._waiting.append(bytes(buffer[:length]))

    def hear(self, chunk):
        message = self._assembler.feed(chunk)
        if message is None:
            return
        what, way = self.attack or ("", "")
        if message[0] == gatt.REFUSED:
            self.said = way == "of a revoked gateway"
        elif message[0] == gatt.CHALLENGE:
            if way == "without the key":  # it can't tell a challenge from another
                aes = link.session_key(self._key, self._hello, message[1:17])
                self._session = link_session.Session(_cipher(aes), False)
            else:
                self._session = link_gateway.answered(self._key, self._hello, message, _cipher)
            self._say("time", gatt.time_message(_NOW), gatt.time_message(_FORGED), message)
        else:
            self._session.check(message)
            if message[0] == gatt.END:
                return
            if gatt.RECORD_CLASSES[message[0]] != "status":
                self.records.append(message[3:-8])
            acknowledged = message[1:3] if self._stays or message[0] == 3 else None
            genuine = bytes((gatt.ACK,)) + acknowledged if acknowledged else None
            forged = bytes((gatt.ACK,)) + message[1:3] if what == "acknowledgement" else gatt.command(b"forged" * 9)
            self._say(what if what != "time" else "", genuine, forged, message)

    def _say(self, what, genuine, forged, heard):
        """What is due now: forged where that is the attack. heard: the node's last message, with its tag."""
        if self.attack and self.attack[0] == what and not self.said:
            self.said = True
            self._send(self._trial.forge(self._session, self.attack, forged, heard))
        elif genuine:
            self._send(self._trial.sign(self._session, genuine))


class Trial:
    """count: forgeries; records: that wait on the node's flash; checks: False for a node that looks at no tag."""

    def __init__(self, seed, count, records, checks):
        random.seed(seed)
        if not checks:
            link_session.Session.check = lambda session, message: message[:-8] or bytes(1)
        self._count = count
        node, device_key = bytes(range(8)), bytes(range(32))
        self.keys = {name: link.link_key(device_key, node, 1, name, 1) for name in (_NAME, _REVOKED)}
        self._wrong = []
        self._earlier = []  # of connections before, genuine
        self._refused = {}
        self._times = []
        self._taken = 0
        self._peers = self._all()
        self._peer = None
        vfs.umount("/")
        flash = NorFlash(bytearray(b"\xff" * 4096 * _BLOCKS))
        vfs.VfsLfs2.mkfs(flash, readsize=256, progsize=256)
        vfs.mount(vfs.VfsLfs2(flash, readsize=256, progsize=256, mtime=False), "/")
        self._outbox = Outbox(1, always=True)
        self._payloads = [bytes(random.getrandbits(8) for _ in range(89)) for _ in range(records)]
        for seq, payload in enumerate(self._payloads):
            self._outbox.put("telemetry", seq, payload)
        gateways_module.room.drop = gateways_module.room.forget = lambda *names: None
        visit_module.print = lambda *words: None
        radio.advertise = self._advertise
        self.wanted = None
        self.is_online = self.on_trial = self.acknowledged = False
        timing = {"interval_ms": 100, "window_s": 60, "rest_s": 0, "visit_s": 60}
        gateways = _Gateways(node, {1: device_key}, 1, {_REVOKED.decode(): 2})
        self._ble = Ble(
            gatt, chunks, lambda uuid: uuid, gateways, self._outbox, node, ("unix", "0"), timing, self, self, self,
            lambda *_: None,
        )  # fmt: skip

    # The node's clock, recorder and mailbox.

    def set(self, unix_ms):
        self._times.append(unix_ms)

    def status(self, state):
        return bytes(60)

    def account(self):
        pass

    def moment(self):
        return 1, 0

    def online(self):
        self.is_online = True

    def working(self):
        return False

    def refuse(self, why):
        self._refused[why] = self._refused.get(why, 0) + 1

    def take(self, payload):
        self._taken += 1

    # Who comes.

    async def _advertise(self, interval_us, adv_data, timeout_ms):
        try:
            self._peer = next(self._peers)
        except StopIteration:
            raise _Over
        self._ble._down.peer = self._peer
        return self._peer

    def _all(self):
        yield _Peer(self, None)  # takes the status, and leaves
        ways = [(what, way) for what in _WHAT for way in _WAYS] + [("time", way) for way in _STRANGERS]
        self.tried = {way: 0 for way in ways}
        self.taken = {}
        for number in range(self._count):
            attack = ways[number % len(ways)]
            waiting, refused = len(self._outbox), sum(self._refused.values())
            self._taken, self._times = 0, []
            peer = _Peer(self, attack)
            yield peer
            self.tried[attack] += 1
            if not peer.said:
                self._fail(attack, "was not said")
            if self._taken or _FORGED in self._times or len(self._outbox) != waiting:
                self.taken[attack] = self.taken.get(attack, 0) + 1
            if sum(self._refused.values()) != refused + 1:
                self._fail(attack, "no security event")
        last = _Peer(self, None, stays=True)
        yield last
        self.lost = len([payload for payload in self._payloads if last.records.count(payload) != 1])
        if last.records != self._payloads or len(self._outbox):
            self._fail(("", ""), "the genuine gateway did not get each record once, in order")

    def _fail(self, attack, text):
        if len(self._wrong) < _SHOWN:
            self._wrong.append("{}: {}".format(" ".join(attack), text))

    # What is said.

    def sign(self, session, message):
        signed = session.sign(message)
        if len(self._earlier) < 64:
            self._earlier.append(signed)
        return signed

    def forge(self, session, attack, message, heard):
        way = attack[1]
        if way in _STRANGERS:
            return session.sign(message)
        if way == "with a guessed tag":
            return message + bytes(random.getrandbits(8) for _ in range(8))
        if way == "with the node's own tag":
            return message + heard[-8:]
        if way == "as the node's own message":
            return heard
        if way == "of an earlier connection":
            return random.choice(self._earlier)
        if way == "with the next one's tag":
            session.sign(message)
            return session.sign(message)
        signed = bytearray(session.sign(message))
        if way == "with a bit changed":
            signed[random.randrange(len(signed))] ^= 1 << random.randrange(8)
        elif way == "cut short":
            signed = signed[: random.randrange(1, len(signed))]
        elif way == "longer":
            signed += bytes(random.getrandbits(8) for _ in range(random.randrange(1, 9)))
        return bytes(signed)

    def run(self):
        import asyncio

        try:
            asyncio.run(self._ble.run())
        except _Over:
            pass
        return {
            "tried": [[what, way, count] for (what, way), count in sorted(self.tried.items())],
            "taken": [[what, way, count] for (what, way), count in sorted(self.taken.items())],
            "refused": self._refused,
            "lost": self.lost,
            "wrong": self._wrong,
        }


_WHAT = ("acknowledgement", "command", "time")
_WAYS = (
    "as the node's own message",
    "cut short",
    "longer",
    "of an earlier connection",
    "with a bit changed",
    "with a guessed tag",
    "with the next one's tag",
    "with the node's own tag",
)
_STRANGERS = ("of a revoked gateway", "without the key")


def main(argument):
    import json

    print(json.dumps(Trial(**argument).run()))
