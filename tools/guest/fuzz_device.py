"""The parsers of device code that meet strangers, as targets of tools/fuzz.py: on CPython and MicroPython alike.

A target gives an input to its parser and returns what came of it in a few words. It raises what its row allows, which
is a refusal; whatever else it raises is a finding. AssertionError: a promise of the parser that was broken.

Where an input is more than one message it is a script: for each step a byte of control, two of length (of which nine
bits count), and the step's bytes. Some bits of the control have what a stranger can't do done for the input: put the
right tag, sum or CRC, so that what lies behind them is reached.
"""

import sys
from binascii import crc32
from hashlib import sha256

KEY = bytes(range(32))
NODE = bytes(range(8))
CODE = b"7K2MXQ4TB0WNZ9RH"
STEPS = 24  # of a script
_ON_CPYTHON = sys.implementation.name == "cpython"


class Clock:
    """In place of `time` and `asyncio` in a module: sleeping moves it."""

    def __init__(self):
        self.now = 0

    def ms(self):
        return self.now

    ticks_ms = ms

    def ticks_us(self):
        return self.now * 1000 & 0x3FFFFFFF

    def ticks_diff(self, a, b):
        return a - b

    def ticks_add(self, a, b):
        return a + b

    async def sleep_ms(self, span):
        self.now += span

    async def sleep(self, span):
        self.now += span * 1000


class Guarded:
    """In place of an asyncio.Lock that nobody else holds."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *why):
        return False


def finish(coroutine):
    """What a coroutine returns that never has to wait."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value


def script(data):
    """[(control, bytes)] of an input."""
    found = []
    at = 0
    while at + 3 <= len(data) and len(found) < STEPS:
        end = at + 3 + ((data[at + 1] << 8 | data[at + 2]) & 511)
        found.append((data[at], bytes(data[at + 3 : end])))
        at = end
    return found


def content(seed, length):
    """Bytes that are the same everywhere and of which no part comes twice."""
    found = b""
    while len(found) < length:
        found += sha256(b"%s %d" % (seed, len(found))).digest()
    return found[:length]


def cipher(key, longest=512):
    """AES-CCM: the device's own on MicroPython, and OpenSSL's on CPython."""
    if _ON_CPYTHON:
        from quaver.messages.sealing import Ccm

        return Ccm(key)
    from node.seal import Ccm

    return Ccm(key, longest)


# Messages.


def items():
    from quaver_wire.decoder import loads
    from quaver_wire.fields import WireError
    from quaver_wire.items import put_item

    out = bytearray(1100)

    def one(data):
        value = loads(data)
        try:
            end = put_item(out, 0, value, 4)
        except WireError as error:
            raise AssertionError("read, but not written: {}".format(error))
        assert out[:end] == data, "not written as it was read"
        return "item"

    return one


def records():
    from quaver_wire.decoder import decode
    from quaver_wire.fields import MESSAGE_CLASSES

    def one(data):
        which = data[0] % (len(MESSAGE_CLASSES) + 1) if data else 0
        named = MESSAGE_CLASSES[which] if which < len(MESSAGE_CLASSES) else None
        return " ".join(sorted(decode(data[1:], named)))

    return one


def sealed():
    """Scripts. Control bit 0: the step is sealed with the right key, under the boot and number that it begins with."""
    from service import downlink
    from service.replay import Window

    from quaver_wire import decoder
    from quaver_wire.cose import Channel
    from quaver_wire.hkdf import derive

    downlink.load = lambda name: decoder
    downlink.drop = lambda *names: None
    key, context_iv = derive(KEY, "downlink", NODE, 1)
    channel = Channel(cipher(key), context_iv, NODE + b"\1")
    out = bytearray(600)

    def one(data):
        node = downlink.Downlink(NODE, {1: channel}, Window())
        took = set()
        for control, message in script(data):
            own = control & 1 and len(message) > 1 and message[0]
            if own:
                number = (message[0], message[1])
                plain = bytearray(message[2:])
                end = channel.seal(out, "command", message[0], message[1], plain, len(plain))
                message = bytes(out[:end])
            try:
                node.open("command", message)
            except downlink.Refused:
                continue
            assert own, "taken, and nobody sealed it"
            assert number not in took, "taken twice"
            took.add(number)
        return "{} {}".format(len(took), sorted(node.counts.items()))

    return one


# Bluetooth.


def _fed(chunks, assembler, message, limit):
    """A message through an assembler, in chunks as a peer cuts it."""
    buffer = bytearray(chunks.SIZE_MAX)
    whole = None
    for length in chunks.split(message, 100, buffer, limit):
        whole = assembler.feed(bytes(buffer[:length]))
    return whole


def link_node():
    """Scripts of a gateway. Control bit 0: the step is a whole message, else a chunk. Bit 1: with the right tag."""
    if _ON_CPYTHON:
        from types import ModuleType

        seal = ModuleType("node.seal")
        seal.Ccm = cipher
        sys.modules.setdefault("node.seal", seal)
    from node import greeting, room
    from node.gateways import Gateways

    from quaver_wire import chunks, gatt, link, link_gateway

    room.stay("quaver_wire")

    def one(data):
        gateways = Gateways(NODE, {1: KEY}, 7, {"old": 3})
        incoming = chunks.Assembler(gatt.DOWNLINK_MAX)
        near = far = None
        said = []
        for control, part in script(data):
            signed = far and control & 2 and part
            if signed:
                part = far.sign(part)
            message = _fed(chunks, incoming, part, gatt.CONTENT_MAX) if control & 1 else incoming.feed(part)
            if message is None:
                continue
            if near:
                kind, number, payload = gatt.parse_downlink(near.check(message))
                assert signed and control & 1, "taken, and its tag is another's"
                said.append((kind, number, len(payload)))
                continue
            gateways.nonce = bytes(16)
            answer, near, why = greeting.greet(gateways, message)
            if near is None:
                return "refused " + why
            key = link.link_key(KEY, NODE, message[2], message[20:], message[3])
            far = link_gateway.answered(key, message, answer, cipher)
        return str(said)

    return one


def link_of_gateway():
    """Scripts of a node. Control as for link_node; bit 2: the step is the nonce of a right challenge."""
    from quaver_wire import chunks, gatt, link, link_gateway
    from quaver_wire.link_session import Session

    key = link.link_key(KEY, NODE, 1, b"gw", 2)
    hello = link_gateway.hello(1, 2, bytes(16), b"gw")

    def one(data):
        incoming = chunks.Assembler()
        near = far = None
        said = []
        for control, part in script(data):
            if control & 4 and near is None:
                nonce = (part + bytes(16))[:16]
                far = Session(cipher(link.session_key(key, hello, nonce)), True)
                part = bytes((gatt.CHALLENGE,)) + nonce
            signed = far and control & 6 and part
            if signed:
                part = far.sign(part)
            whole = control & 5
            message = _fed(chunks, incoming, part, chunks.MESSAGE_MAX) if whole else incoming.feed(part)
            if message is None:
                continue
            if near:
                kind, number, payload = gatt.parse_uplink(near.check(message))
                assert signed and whole, "taken, and its tag is another's"
                said.append((kind, number, len(payload)))
            elif message[0] == gatt.REFUSED:
                return "refused"
            else:
                near = link_gateway.answered(key, hello, message, cipher)
        return str(said)

    return one


def line():
    """Scripts of a wired node's line. Control & 3: 0 bytes; 1 a node's frame; 2 the gateway's own."""
    from quaver_wire import wired

    buffer = bytearray(wired.frame_size(600))

    def one(data):
        frames = wired.Frames(wired.NODE, wired.UPLINK_MAX)
        found = []
        for control, part in script(data):
            what = control & 3
            if what in (1, 2) and part:
                part = bytes(buffer[: wired.put_frame(buffer, wired.NODE if what == 1 else wired.GATEWAY, part)])
            else:
                what = 0
            fresh = []
            size = (control >> 2) + 1
            for at in range(0, len(part), size):
                fresh += frames.feed(part[at : at + size])
            assert what != 1 or fresh, "a whole frame was not found"
            assert what != 2 or len(fresh) < 2, "an echo was taken for the node's words"
            found += fresh
        assert len(frames._buffer) == wired.frame_size(wired.UPLINK_MAX) - 2, "holds more than a frame"
        return str([frames.broken, [(len(message), wired.parse_hail(message)) for message in found]])

    return one


def advertisements():
    from quaver_wire import gatt, gatt_session

    def one(data):
        return str([gatt.parse_advertisement(data), gatt_session.parse_service_data(data)])

    return one


# Enrolment.


def session():
    """Scripts. Control & 3: 0 a message; 1 a public key; 2 the right proof; 3 a sealed request. Bit 2: 30 s later.

    X25519 is a hash here: it takes 10 ms, and is tried by the vectors of its standard.
    """
    from enrol import session as device

    from quaver_wire import session as wire

    class Store:
        def replace(self, path, data):
            pass

    def ladder(scalar, point):
        yield 10
        yield bytes(32) if point == bytes(32) else sha256(point).digest()

    device.store = Store()
    device.ladder = ladder
    own = sha256(device.BASE).digest()
    ours = wire.Channel

    def one(data):
        clock = Clock()
        node = device.Session(NODE, CODE, cipher, device.Tries(clock, "/nonexistent"), bytes)
        keys = to_node = to_host = None
        said = []
        opened = 0
        for control, part in script(data):
            what = control & 3
            clock.now += control & 4 and 30_000
            proven = False
            if what == 1:
                part = bytes((wire.HELLO_HOST, wire.VERSION)) + (part + bytes(32))[:32]
            elif what == 2 and keys:
                part = bytes((wire.PROOF_HOST,)) + keys.host_proof
                proven = True
            elif what == 3 and to_node:
                part = to_node.seal(part[: wire.PLAIN_MAX])
            was = node.is_open
            for answer in node.receive(part):
                if not answer:
                    continue
                kind = wire.kind_of(answer)
                assert kind, "answered what is no message"
                said.append(kind)
                if kind == wire.HELLO_NODE:
                    public = part[2:]
                    keys = wire.Keys(sha256(public).digest(), CODE, NODE, public, own)
                    to_node = to_host = None
                elif kind == wire.PROOF_NODE:
                    to_node = ours(cipher(keys.host_key), keys.host_vector)
                    to_host = ours(cipher(keys.node_key), keys.node_vector)
            assert was or proven or not node.is_open, "opened without the code"
            if node.request is not None:
                opened += 1
                request = node.request
                answer = node.answer(request)
                assert to_host.open(answer) == request, "an answer that the host can't open"
        return "{} {}".format(opened, said)

    return one


def _too_deep(text):
    """Whether it is JSON that CPython alone gives up: its reader recurs, MicroPython's does not."""
    return _ON_CPYTHON and max(text.count(b"["), text.count(b"{")) > 200


def requests():
    """Lines: each is a request of a session that is open. It is answered, whatever it is."""
    import json

    from build.config import parse
    from enrol import enrolment

    class Store:
        def replace(self, path, data):
            json.loads(data)

    class Tried:
        untold = 0

    async def join(ssid, password):
        raise OSError("wifi wrong password")

    async def scan():
        return [("plant", -50, 1), ("plant", -70, 1), ("", -40, 0)]

    enrolment.store = Store()
    enrolment.save_key = lambda *given, path: None

    def check(config):
        return parse(config)[1]

    def one(data):
        node = enrolment.Enrolment({}, check, join, scan, lambda: None, Tried(), root="/nonexistent")
        done = 0
        for line in bytes(data).split(b"\n")[:STEPS]:
            if _too_deep(line):
                continue
            answer = json.loads(finish(node.answer(line)))
            assert list(answer) in (["result"], ["error"]), "neither a result nor an error"
            done += "result" in answer
        return str(done)

    return one


def configurations():
    """JSON: the configuration of a node and of a gateway, and the bearing in it."""
    import json

    from build import bearings, config, gateway_config

    def one(data):
        if _too_deep(data):
            raise ValueError
        given = json.loads(bytes(data))
        found, problems = config.parse(given)
        _, nodes, more = gateway_config.parse(found["gateway"], "s/a/l/a/")
        assert all(len(line) < 250 for line in problems + more), "a problem that is longer than a line"
        assert len(nodes) <= gateway_config.NODES_MAX
        again, none = config.parse({key: found[key] for key in ("broker", "wifi", "ble", "alarm", "outbox")})
        assert not none and again["outbox"] == found["outbox"], "what it gave it does not take"
        try:
            bearings.ratios(found["machine"]["bearing"])
        except ValueError:
            return "no bearing"
        return "bearing"

    return one


def _improv(serial):
    from links.improv import Improv

    def one(data):
        clock = Clock()
        said = []
        joined = []

        async def join(ssid, password):
            if len(password) < 8:
                raise OSError
            joined.append(clock.now)
            return ["http://node-1"]

        async def scan():
            return [("plant", -60, True)] * 30

        def emit(kind, packet):
            assert len(packet) <= 255, "more than a packet holds"
            said.append(kind)

        node = Improv(emit, ("Quaver", "0.1.0", "rp2040", "n"), join, scan, lambda: None, clock, serial)
        until = -1
        for control, part in script(data):
            if control & 1:
                node.open(60)
                until = clock.now + 60_000
            clock.now += control & 2 and 45_000
            if control & 4:
                part = bytes((part[0] if part else 1, len(part[1:]) & 255)) + part[1:]
                part += b"" if serial else bytes((sum(part) & 255,))
            if control & 8:
                node.forget()
            before = len(joined)
            finish(node.command(part) if serial else node.write(part))
            assert len(joined) == before or clock.now <= until, "joined outside of its window"
            assert 1 <= node.state <= 4
            assert len(node._part) <= 258 + len(part), "holds more than a packet"
        if any(byte > 0xBF for byte in data):  # MicroPython takes more for UTF-8 than CPython does
            return "a text that is not ASCII"
        return "{} {} {}".format(len(joined), node.refused, said)

    return one


def improv_serial():
    return _improv(True)


def improv_ble():
    return _improv(False)


def console():
    """Scripts. Control & 3: 0 bytes; 1 a session's frame; 2 an Improv packet; 3 bytes after a silence."""
    from quaver_wire import frames

    def one(data):
        reader = frames.Frames()
        found = []
        for control, part in script(data):
            what = control & 3
            if what == 3 or control & 4:
                found += reader.idle()
            if what == 1:
                part = frames.session_frame(part)
            elif what == 2:
                part = frames.improv_frame((control >> 4) % 4 + 1, part[:255])
            fresh = []
            size = (control >> 3 & 63) + 1
            for at in range(0, len(part), size):
                fresh += reader.feed(part[at : at + size])
            # a frame alone, after a silence, is found
            assert not (what in (1, 2) and control & 4) or len(fresh) == 1, "a whole frame was not found"
            assert len(reader._held) < 3600, "holds more than a frame"
            found += fresh
        found += reader.idle()
        return str([reader.refused, [(kind, len(message)) for kind, message in found]])

    return one


# Broker, time server, meter.


def broker():
    """What a broker sends: the node connects, publishes and listens until the connection ends."""
    if _ON_CPYTHON:
        from types import ModuleType

        for name in ("usocket", "uselect", "utime"):
            sys.modules.setdefault(name, ModuleType(name))
        for verb in ("ticks_ms", "ticks_add", "ticks_diff"):
            setattr(sys.modules["utime"], verb, getattr(Clock(), verb))
    from umqtt import simple2

    from links import mqtt
    from links.errors import LinkError

    class Socket:
        """Its other side has said all that it will say."""

        stream = b""
        at = most = 0

        def read(self, count):
            found = self.stream[Socket.at : Socket.at + count]
            Socket.at += len(found)
            Socket.most = max(Socket.most, count)
            return found

        def write(self, data, length=-1):
            return len(data) if length < 0 else length

        def setblocking(self, flag):
            pass

        def setsockopt(self, *what):
            pass

        def connect(self, address):
            pass

        def close(self):
            pass

    class Pids(dict):
        """umqtt takes entries out while it goes over them: MicroPython's dict bears that, CPython's raises."""

        def items(self):
            return list(dict.items(self))

    class Poll:
        def register(self, *what):
            pass

        unregister = register

        def poll(self, span):
            return [(0, Net.POLLIN)]

    class Net:
        """In place of `socket` and `select`."""

        POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
        poll = Poll

        @staticmethod
        def getaddrinfo(host, port):
            return [(0, 0, 0, 0)]

        @staticmethod
        def socket(*which):
            return Socket()

    simple2.socket = simple2.uselect = Net
    config = {"keepalive_s": 60, "host": "h", "port": 1, "user": "u", "password": "p"}

    def one(data):
        clock = Clock()
        mqtt.time = mqtt.asyncio = clock
        simple2.ticks_ms, simple2.ticks_add, simple2.ticks_diff = clock.ms, clock.ticks_add, clock.ticks_diff
        Socket.stream, Socket.at, Socket.most = bytes(data), 0, 0
        heard = []
        link = mqtt.Mqtt(config, "n", "s/a/l/a/n/status", b"gone")
        if _ON_CPYTHON:
            link._client.rcv_pids = Pids()
        link.listen(("s/a/l/a/n/command",), lambda topic, payload: heard.append(len(payload)))
        up = False
        try:
            link.up()
            up = True
            finish(link.publish("s/a/l/a/n/telemetry", b"record", 200))
            for _ in range(200):
                clock.now += 100
                link.idle()
        except LinkError:
            pass
        assert Socket.most <= 560, "a message longer than there is room for"
        assert all(length <= 560 for length in heard), "a message longer than there is room for"
        return "{} {} {}".format(up, heard, Socket.at)

    return one


def time_server():
    """Control bit 0 of the first byte: the answer is to what was asked."""
    from links import ntp

    asked = bytes(40) + bytes(range(8))

    def one(data):
        packet = bytes(data[1:])
        if data and data[0] & 1:
            packet = packet[:24] + asked[40:] + packet[32:]
        return str(ntp._answer(packet, asked))

    return one


def meter():
    """Scripts: what comes over the line after a request. Control bit 0: with the right CRC."""
    from build import sensors
    from drivers import modbus_meter

    class Uart:
        def __init__(self, parts):
            self._parts = parts
            self._waiting = b""

        def any(self):
            return len(self._waiting)

        def write(self, request):
            self._waiting += self._parts.pop(0) if self._parts else b""

        def flush(self):
            pass

        def readinto(self, buffer):
            count = min(len(buffer), len(self._waiting))
            buffer[:count] = self._waiting[:count]
            self._waiting = self._waiting[count:]
            return count

    rows = [sensors.register(["input", str(at), "float32"]) for at in range(7)]

    def one(data):
        clock = Clock()
        modbus_meter.time = modbus_meter.asyncio = clock
        parts = []
        for control, part in script(data):
            if control & 1:
                crc = modbus_meter.crc16(part, len(part))
                part += bytes((crc & 255, crc >> 8))
            parts.append(part)
        reader = modbus_meter.ModbusMeter(Uart(parts), rows)
        values = finish(reader.read())
        assert len(values) == 7
        return str([values, reader.absent])

    return one


# Releases.


def envelopes():
    """Control bit 0: what follows is a manifest, and is put into an envelope. Bit 1: the signature is good.

    The arithmetic of P-256 takes 100 ms; it is tried by the vectors of its standard.
    """
    from update import envelope

    from quaver_wire.decoder import loads

    class P256:
        def verify(self, key, digest, signature):
            yield None
            yield self.good

    envelope.p256 = P256()
    key = bytes(64)
    head = envelope._HEAD + sha256(key).digest()[:8]

    def one(data):
        control = data[0] if data else 0
        data = bytes(data[1:])
        if control & 1 and len(data) > 23:
            size = len(data)
            head_of_payload = b"\x58" + bytes((size,)) if size < 256 else b"\x59" + bytes((size >> 8 & 255, size & 255))
            data = head + head_of_payload + data + envelope._SIGNATURE + bytes(64)
        envelope.p256.good = control & 2
        for found in envelope.payload(data, key):
            pass
        assert control & 2, "opened, and its signature is wrong"
        manifest = envelope.Manifest(found, "unix", loads)
        manifest.judge(NODE, 6, 1_900_000_000, "1.28.0", 6 | 3 << 8)
        return manifest.version if isinstance(manifest.version, str) else "taken"

    return one


OLD = {"code/a": content(b"x", 3000), "code/b": content(b"y", 2000)}
NEW = {"code/a": OLD["code/a"][:1000] + b"other" + OLD["code/a"][900:], "code/b": OLD["code/b"][1000:] + OLD["code/b"]}


def patches():
    """Patches between two versions of two files: what comes of them is what was signed, or nothing."""
    import io

    from update import patch

    clock = Clock()
    patch.asyncio = clock
    digests = {path: sha256(data).digest() for path, data in NEW.items()}
    olds = {"/" + path: data for path, data in OLD.items()}

    class Files:
        def drop(self, *paths):
            for path in paths:
                held.pop(path, None)

    held = {}

    class File:
        def __init__(self, path):
            self._path = path
            self._data = bytearray()

        def write(self, part):
            self._data += part
            assert len(self._data) <= 70000, "writes more than a file holds"

        def close(self):
            held[self._path] = bytes(self._data)

    class Opened(io.BytesIO):
        def __enter__(self):
            return self

        def __exit__(self, *why):
            return False

    patch.opened = lambda path, mode: Opened(olds[path])
    patch.files = Files()

    class Stage:
        def __init__(self, data):
            self._data = data
            self.quiet = Guarded()
            self.fetched = 0
            self.refused = ""

        async def fetch(self, digest, n):
            return self._data[n * 1024 : n * 1024 + 1024]

        def refuse(self, why):
            self.refused = why

        async def lacks(self, digest):
            for path in sorted(digests):
                if digests[path][: len(digest)] == digest and held.get("/" + path + ".new") != NEW[path]:
                    return digests[path], len(NEW[path]), "/" + path + ".new"
            return None

        async def source(self, path, digest):
            found = OLD.get(path, b"")
            return len(found) if sha256(found).digest()[: len(digest)] == digest else 0

        async def new(self, path):
            return File(path)

    def one(data):
        held.clear()
        stage = Stage(bytes(data))
        finish(patch.apply(stage, (b"", len(data))))
        for path in held:
            assert held[path] == NEW[path[1:-4]], "a staged file is another's"
        return "{} {}".format(stage.refused, sorted(held))

    return one


# name, what an input is, modules under test, which errors are right, whether both ports say the same, maker
TARGETS = (
    ("cbor", "one item of CBOR", "quaver_wire.decoder quaver_wire.items", "quaver_wire.fields.WireError", True, items),
    ("record", "a message's record", "quaver_wire.decoder", "quaver_wire.fields.WireError", True, records),
    ("cose", "sealed commands", "quaver_wire.cose service.downlink service.replay", "", True, sealed),
    ("gatt-node", "a gateway's messages", "quaver_wire.chunks quaver_wire.gatt quaver_wire.link node.greeting",
     "ValueError", True, link_node),
    ("gatt-gateway", "a node's messages", "quaver_wire.chunks quaver_wire.gatt quaver_wire.link_session",
     "ValueError", True, link_of_gateway),
    ("wired", "bytes on a node's line", "quaver_wire.wired", "", True, line),
    ("advertisement", "what is advertised nearby", "quaver_wire.gatt quaver_wire.gatt_session",
     "", True, advertisements),
    ("session", "messages of enrolment", "enrol.session quaver_wire.session", "", True, session),
    ("enrolment", "requests of enrolment, JSON", "enrol.enrolment", "", False, requests),
    ("config", "a configuration, JSON", "build.config build.gateway_config build.sensors build.bearings build.rules",
     "ValueError", False, configurations),
    ("improv-serial", "Improv packets of a cable", "links.improv", "", True, improv_serial),
    ("improv-ble", "Improv writes of Bluetooth", "links.improv", "", True, improv_ble),
    ("console", "bytes at the console", "quaver_wire.frames", "", True, console),
    ("mqtt", "what a broker sends", "links.mqtt", "", True, broker),
    ("ntp", "a time server's answer", "links.ntp", "links.errors.LinkError", True, time_server),
    ("meter", "bytes on the Modbus line", "drivers.modbus_meter", "OSError", True, meter),
    ("envelope", "a release's manifest", "update.envelope quaver_wire.decoder",
     "update.envelope.Refused", True, envelopes),
    ("patch", "patches of a release", "update.patch", "", True, patches),
)  # fmt: skip


def named(path):
    """The exception class of that dotted name."""
    module, _, name = path.rpartition(".")
    if not module:
        import builtins

        return getattr(builtins, name)
    __import__(module)
    return getattr(sys.modules[module], name)


def target(name):
    """(one, right errors) of the target of that name."""
    for row in TARGETS:
        if row[0] == name:
            one = row[5]()
            return one, tuple(named(path) for path in row[3].split())
    raise ValueError(name)


def outcome(said):
    """What both ports have to agree in, as four bytes."""
    return (crc32(said.encode()) & 0x7FFFFFFF).to_bytes(4, "big")


REFUSED = outcome("refused")
FINDING = b"\xff\xff\xff\xff"


def serve(name):
    """On MicroPython: inputs from stdin, three bytes of length before each; after an empty one four bytes for each.

    A finding's four bytes are FINDING, and its text follows all of them: two bytes of length before each.
    """
    import builtins
    import gc
    import io

    builtins.print = lambda *what, **how: None
    one, right = target(name)
    read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
    answers, texts = bytearray(), []
    while True:
        head = read(3)
        if len(head) < 3:
            return
        length = int.from_bytes(head, "big")
        if not length:
            write(answers)
            for text in texts:
                write(len(text).to_bytes(2, "big") + text)
            answers, texts = bytearray(), []
            gc.collect()
            continue
        data = read(length)[1:]
        try:
            answers += outcome(one(data))
        except right:
            answers += REFUSED
        except Exception as error:
            answers += FINDING
            text = io.StringIO()
            sys.print_exception(error, text)
            texts.append(text.getvalue().encode()[-2000:])
