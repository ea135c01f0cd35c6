"""The host's parsers that meet strangers, as targets of tools/fuzz.py; on CPython alone.

A target is made once and takes each input: what it raises is a refusal where its row allows it, else a finding.
AssertionError: a promise of the parser that was broken.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import struct
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fuzz_device import CODE, KEY, NODE, finish, script

One = Callable[[bytes], object]


def _file(folder: Path, name: str, read: Callable[[Path], object]) -> One:
    """A target that reads a file of that name."""
    path = folder / name

    def one(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return one


# Messages.


def message(_folder: Path) -> One:
    import orjson

    from quaver.messages import decoding
    from quaver.messages.record import decode
    from quaver_wire.decoder import loads
    from quaver_wire.fields import WireError

    topics = [f"s/a/l/a/n/{name}" for name in ("telemetry", "event", "status", "answer", "command")]

    def one(data: bytes) -> object:
        topic, payload = topics[data[0] % 5 if data else 0], data[1:]
        try:
            strict: object = loads(payload)
        except WireError as error:
            strict = str(error)
        try:
            quick = decoding._loads(payload)
        except WireError as error:
            quick = str(error)
        assert repr(strict) == repr(quick), "the quick decoder and the strict one disagree"
        return orjson.loads(orjson.dumps(decode(topic, payload, 0.0).as_json()))

    return one


def sealed_message(_folder: Path) -> One:
    """Control bit 0: what follows is sealed with the right key."""
    from quaver.messages.record import decode
    from quaver.messages.sealing import Opener, Sealer

    opener = Opener(SimpleNamespace(device_keys=lambda node: {1: KEY} if node == NODE else {}))  # type: ignore[arg-type]
    sealer = Sealer(KEY, NODE, 1, "uplink")

    def one(data: bytes) -> object:
        control, payload = data[0] if data else 0, data[1:]
        if control & 1:
            payload = sealer.seal("telemetry", 1, 1, payload[:900])
        found = decode("s/a/l/a/n/telemetry", payload, 0.0, opener)
        assert control & 1, "opened, and nobody sealed it"
        return found.as_json()

    return one


def sparkplug(_folder: Path) -> One:
    from quaver.bridge.sparkplug_payload import commands
    from quaver.bridge.sparkplug_session import EdgeNode

    def one(data: bytes) -> object:
        if data[:1] == b"{":
            session = SimpleNamespace(_host_ms=None, _host_online=None)
            EdgeNode._take_state(session, data)  # type: ignore[arg-type]
            return session._host_online
        return commands(data)

    return one


def host_session(_folder: Path) -> One:
    """Scripts of a node. Control & 3: 0 a message; 1 a right greeting; 2 the right proof; 3 a sealed answer."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    from quaver.errors import SessionError
    from quaver.messages.sealing import Ccm
    from quaver.provision import session
    from quaver_wire import session as wire

    ours, theirs = X25519PrivateKey.from_private_bytes(KEY), X25519PrivateKey.from_private_bytes(KEY[::-1])
    public, node_public = ours.public_key().public_bytes_raw(), theirs.public_key().public_bytes_raw()
    keys = wire.Keys(theirs.exchange(X25519PublicKey.from_public_bytes(public)), CODE, NODE, public, node_public)
    session.X25519PrivateKey = SimpleNamespace(generate=lambda: ours)  # type: ignore[assignment,misc]

    class Node:
        def __init__(self, steps: list[tuple[int, bytes]]) -> None:
            self._steps = steps
            self._channel = wire.Channel(Ccm(keys.node_key), keys.node_vector)
            self.proven = False

        def send(self, message: bytes) -> None:
            assert self.proven or message[0] != wire.SEALED, "a request to who has proved nothing"

        def receive(self, timeout: float) -> bytes | None:
            if not self._steps:
                raise SessionError("gone")
            control, part = self._steps.pop(0)
            if control & 3 == 1:
                return bytes((wire.HELLO_NODE, wire.VERSION)) + public[:4] + NODE + node_public
            if control & 3 == 2:
                self.proven = True
                return bytes((wire.PROOF_NODE,)) + keys.node_proof
            return self._channel.seal(part) if control & 3 == 3 else part

    def one(data: bytes) -> object:
        host = session.Session(Node(script(data)), CODE.decode())
        return [host.request("about") for _ in range(2)]

    return one


# Files that people, sites and boards bring.


def uf2(_folder: Path) -> One:
    """Control bit 0: the marks of each block are right."""
    from quaver.build.uf2 import join_pages, make_uf2, read_uf2

    family = 0xE48BFF56

    def one(data: bytes) -> object:
        control, data = data[0] if data else 0, data[1:]
        if control & 1:
            blocks = [data[at : at + 512].ljust(512, b"\0") for at in range(0, len(data), 512)]
            data = b"".join(
                struct.pack(
                    "<IIII", 0x0A324655, 0x9E5D5157, 0x2000 | block[8] & 1, *struct.unpack_from("<I", block, 12)
                )
                + struct.pack("<I", 256)
                + block[20:28]
                + struct.pack("<I", family)
                + block[32:508]
                + struct.pack("<I", 0x0AB16F30)
                for block in blocks
            )
        pages = read_uf2(data, family)
        if pages:
            start, content = join_pages(pages)
            assert all(content[at - start : at - start + 256] == page for at, page in pages.items())
            again = read_uf2(make_uf2(pages, family), family)
            assert pages.items() <= again.items()
        return len(pages)

    return one


def partitions(_folder: Path) -> One:
    """Control bit 0: the table gets its right checksum."""
    from quaver.build.partitions import application, read_partitions, updatable, vfs_partition

    before = b"\xff" * 0x7000  # from the boot loader, at 0x1000, to the table

    def one(data: bytes) -> object:
        control, table = data[0] if data else 0, data[1 : 1 + 0xC00 - 32]
        if control & 1:
            table = table[: len(table) // 32 * 32]
            table += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table, usedforsecurity=False).digest()
        image = before + table.ljust(0xC00, b"\xff") + data[1 + 0xC00 - 32 :].ljust(0x8400, b"\xff")
        found = vfs_partition(read_partitions(image, 0x1000), 4 << 20)
        assert found.offset >= 0
        assert len(application(image, 0x1000)) <= len(image)
        made = updatable(image, 0x1000, 4 << 20)
        names = [partition.name for partition in read_partitions(made, 0x1000)]
        assert names == ["nvs", "otadata", "phy_init", "ota_0", "ota_1", "vfs"]
        return found

    return one


def plan(folder: Path) -> One:
    from quaver.provision.plan import read_plan

    profiles = {"plant": {"ssid": "plant", "password": "secret word"}}
    inventory: Any = SimpleNamespace(entries=list)
    codes: Any = []

    def read(path: Path) -> object:
        rows, mistakes = read_plan(path, profiles, codes, inventory, "mqtt://plant.example")
        for mistake in mistakes:
            assert "\n" not in str(mistake) and mistake.row > 0
        assert not {row for row, _ in rows} & {mistake.row for mistake in mistakes}
        return len(rows)

    return _file(folder, "plan.csv", read)


def label(_folder: Path) -> One:
    from quaver.provision.identity import label_text, scanned

    def one(data: bytes) -> object:
        node, code = scanned(data.decode("utf-8", "replace"))
        assert scanned(label_text(node, code)) == (node, code)
        return node

    return one


def recording(name: str) -> Callable[[Path], One]:
    def make(folder: Path) -> One:
        import warnings

        from quaver.recordings import OptionError, binary, hdf5, load

        binary.hdf5_arrays = lambda path: hdf5.read_here(str(path))  # and not in a process for each
        warnings.simplefilter("ignore")  # numpy's, of numbers that are refused afterwards

        def read(path: Path) -> object:
            try:
                found = load(path)
            except OptionError:  # what a person is asked for then
                found = load(path, rate=20_000.0, scale=0.001, channel="0", rpm=1500.0)
            assert found.acceleration.ndim == 2 and found.rate_hz > 0
            return [str(taken) for taken in found.taken]

        return _file(folder, name, read)

    return make


def tables(name: str, module: str, verb: str) -> Callable[[Path], One]:
    """A file of tables that people write, by the function that reads it."""

    def make(folder: Path) -> One:
        return _file(folder, name, getattr(__import__(module, fromlist=[verb]), verb))

    return make


def release(folder: Path) -> One:
    from quaver.release.bundle import read_release

    def read(path: Path) -> object:
        found = read_release(path)
        return [found.files(board) for board in found.manifest.boards]

    return _file(folder, "a.release", read)


# The diode.


def bundle(_folder: Path) -> One:
    """Control & 3: 0 the bundle; 1 its payload, signed; 2 and 3 the content, deflated and signed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from quaver.diode.bundle import _MAGIC, VERSION, unpack

    key = Ed25519PrivateKey.from_private_bytes(KEY)
    public, head = key.public_key(), _MAGIC + bytes([VERSION])

    def one(data: bytes) -> object:
        control, data = data[0] & 3 if data else 0, data[1:]
        if control:
            payload = zlib.compress(data, 1) if control > 1 else data
            data = head + key.sign(head + payload) + payload
        found = unpack(data, public)
        for record in found.records:  # what a store takes
            assert all(-(1 << 63) <= number < 1 << 63 for number in (record.boot, record.seq, record.received_ms))
        return found.number

    return one


def datagram(_folder: Path) -> One:
    """Scripts of datagrams. Control bit 0: with the right magic and length; bit 1: a true symbol of a bundle."""
    from collections import OrderedDict

    import raptorq

    from quaver.diode import udp
    from quaver.diode.bundle import digest

    made, panics = raptorq.Decoder.with_defaults, []

    class Decoder:
        """Raptorq's own; its panics are printed, whoever catches them."""

        def __init__(self, length: int, symbol: int) -> None:
            self._decoder = made(length, symbol)

        with_defaults = classmethod(lambda cls, length, symbol: cls(length, symbol))

        def decode(self, symbol: bytes) -> object:
            try:
                return self._decoder.decode(symbol)
            except BaseException as error:
                panics.append(str(error))
                raise

    raptorq.Decoder = Decoder

    whole = bytes(range(256)) * 20
    symbols = list(raptorq.Encoder.with_defaults(whole, udp._SYMBOL).get_encoded_packets(4))
    head = udp._MAGIC + digest(whole) + len(whole).to_bytes(4, "big")

    def one(data: bytes) -> object:
        receiver = object.__new__(udp.Receiver)
        receiver._open, receiver.given_up = OrderedDict(), 0
        found = []
        for control, part in script(data):
            if control & 2:
                part = head + bytes(symbols[control >> 2 & 7 % len(symbols)])
            elif control & 1:
                size = int.from_bytes(part[:2], "big")
                part = udp._MAGIC + bytes(8) + size.to_bytes(4, "big") + part[2:].ljust(udp._SYMBOL + 4, b"\1")
            bundle = receiver._take(part)
            assert not panics, panics.pop()
            assert len(receiver._open) <= udp._OPEN
            if bundle is not None:
                assert bundle == whole, "a bundle that nobody sent"
                found.append(len(bundle))
        return found

    return one


# The page, and machines.


def page(_folder: Path) -> One:
    """The first byte is the endpoint; what follows is its query, or its body."""
    from quaver.serve import app

    endpoints = [each for each in app.all_endpoints() if each.body or each.query]

    class Request(SimpleNamespace):
        async def stream(self) -> Any:
            yield self.content

    def one(data: bytes) -> object:
        endpoint, content = endpoints[data[0] % len(endpoints) if data else 0], data[1:]
        if endpoint.body:
            request: Any = Request(headers={"content-type": "application/json"}, content=content)
            return finish(app._body(endpoint, request))
        assert endpoint.query
        pairs = urllib.parse.parse_qsl(content.decode("latin-1"), keep_blank_values=True)
        return app._checked(endpoint.query, dict(pairs))

    return one


def machine(_folder: Path) -> One:
    """What a machine answers at TCP (control bit 0) or a serial line; bit 1: with the right CRC."""
    from pymodbus.framer import FramerRTU, FramerSocket
    from pymodbus.pdu import DecodePDU

    from quaver.modbus.reader import Reader
    from quaver.modbus.registers import ORDERS, TYPES, number, words_of
    from quaver.modbus.spec import Line

    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    framers = [FramerRTU(DecodePDU(False)), FramerSocket(DecodePDU(False))]

    class Client(SimpleNamespace):
        connected = True

        async def read_input_registers(self, address: int, count: int, device_id: int) -> Any:
            from pymodbus.exceptions import ModbusIOException

            pdu = self.framer.handleFrame(self.data, 0, 0)[1]
            if pdu is None:
                raise ModbusIOException("no answer")
            return pdu

        def close(self) -> None:
            pass

    reader = object.__new__(Reader)  # without its client, which wants a running loop
    reader._line, reader._lock = Line(tcp="127.0.0.1:502"), asyncio.Lock()

    def one(data: bytes) -> object:
        control, data = data[0] if data else 0, data[1:]
        if control & 2:
            data += FramerRTU.compute_CRC(data).to_bytes(2, "big")
        reader._client = Client(framer=framers[control & 1], data=data)
        words = finish(reader.read(1, "input", 0, 2))
        return [number(words, kind, order) for kind in TYPES for order in ORDERS if words_of(kind) <= len(words)]

    return one


# name, what an input is, the modules under test and which errors are right (below quaver), the longest input, maker
TARGETS: tuple[tuple[str, str, str, str, int, Callable[[Path], One]], ...] = (
    ("message", "a message at the broker", "messages.record messages.decoding",
     "messages.record.MessageError", 1100, message),
    ("sealed-message", "a sealed message at the broker", "messages.record messages.sealing",
     "messages.record.MessageError", 1100, sealed_message),
    ("sparkplug", "a command or a host's state", "bridge.sparkplug_payload", "", 1000, sparkplug),
    ("host-session", "a node's messages of enrolment", "provision.session", "errors.SessionError", 2000, host_session),
    ("uf2", "a UF2 file", "build.uf2", "errors.BuildError", 4097, uf2),
    ("partitions", "an ESP32's partition table", "build.partitions", "errors.BuildError", 600, partitions),
    ("plan", "a plan of nodes, CSV", "provision.plan files.csv_rows", "errors.InventoryError", 2000, plan),
    ("label", "a label's QR code", "provision.identity", "provision.identity.CodeError", 80, label),
    ("recording-csv", "a recording, CSV",
     "recordings.text recordings.dialect recordings.header recordings.time_axis recordings.units",
     "errors.RecordingError", 4000, recording("r.csv")),
    ("recording-lvm", "a recording, LabVIEW's text", "recordings.text recordings.dialect recordings.header",
     "errors.RecordingError", 4000, recording("r.lvm")),
    ("recording-wav", "a recording, WAV", "recordings.measured", "errors.RecordingError", 2000, recording("r.wav")),
    ("recording-uff", "a recording, Universal File Format", "recordings.measured",
     "errors.RecordingError", 4000, recording("r.uff")),
    ("recording-tdms", "a recording, TDMS", "recordings.measured", "errors.RecordingError", 3000, recording("r.tdms")),
    ("recording-npy", "a recording, .npy", "recordings.binary recordings.arrays",
     "errors.RecordingError", 2000, recording("r.npy")),
    ("recording-npz", "a recording, .npz", "recordings.binary recordings.arrays",
     "errors.RecordingError", 4000, recording("r.npz")),
    ("recording-mat", "a recording, MATLAB's", "recordings.binary recordings.arrays",
     "errors.RecordingError", 4000, recording("r.mat")),
    ("recording-hdf5", "a recording, HDF5", "recordings.binary recordings.arrays recordings.hdf5",
     "errors.RecordingError", 8000, recording("r.h5")),
    ("release", "a release's file", "release.bundle release.manifest release.files release.signing release.patches",
     "errors.ReleaseError", 8000, release),
    ("bundle", "a bundle from the diode", "diode.bundle", "errors.DiodeError", 2000, bundle),
    ("datagram", "datagrams of the diode", "diode.udp", "", 4000, datagram),
    ("page", "queries and bodies at the page", "serve.app", "errors.PageError", 1000, page),
    ("machine", "a Modbus machine's answer", "modbus.reader modbus.registers", "errors.GatewayError", 300, machine),
    ("bridge.toml", "a bridge, TOML", "bridge.spec files.tables", "errors.BridgeError", 2000, tables("bridge.toml",
     "quaver.bridge.spec", "read_bridge")),
    ("plant.toml", "a plant, TOML", "plant.spec files.tables", "errors.PlantError", 2000, tables("plant.toml",
     "quaver.plant.spec", "load_plant")),
    ("machines.toml", "Modbus machines, TOML", "modbus.spec files.tables",
     "errors.GatewayError", 2000, tables("machines.toml", "quaver.modbus.spec", "read_machines")),
    ("reports.toml", "the settings of reports, TOML", "reports.spec files.tables",
     "errors.ReportError", 2000, tables("reports.toml", "quaver.reports.spec", "read_spec")),
    ("board.toml", "a board, TOML", "board.spec", "errors.BoardFileError", 3000, tables("board.toml",
     "quaver.board.spec", "read_board")),
    ("bearing.toml", "a bearing, TOML", "analysis.bearing_file",
     "analysis.bearing_file.BearingFileError", 1000,
     tables("bearing.toml", "quaver.analysis.bearing_file", "load_bearing")),
)  # fmt: skip
