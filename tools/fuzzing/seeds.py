"""Inputs to begin with: right ones of each target, from the project's own encoders, and some that are near an edge."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
from fuzz_device import NEW, OLD, TARGETS

from quaver.files.carried import payload
from quaver_wire import frames, gatt, wired
from quaver_wire import session as wire
from quaver_wire.cbor import encode
from quaver_wire.link_gateway import hello

DEEP = 3000  # levels: more than Python's stack takes
_ROOT = Path(__file__).resolve().parents[2]
_VECTORS = _ROOT / "protocols" / "vectors"
_HOST = _ROOT / "host" / "quaver"


def script(*steps: tuple[int, bytes]) -> bytes:
    """The input of a target that takes steps."""
    return b"".join(bytes((control, len(part) >> 8, len(part) & 255)) + part for control, part in steps)


def _records() -> list[bytes]:
    buf = bytearray(512)
    records = (
        {
            "version": 2,
            "kind": 0,
            "node": "n",
            "boot": 300,
            "seq": 70000,
            "uptime_ms": 2**33,
            "rms_g": 0.5,
            "skew": -1.5,
            "energy": [230.0, None, -1.0, 0.0, 1.0, 50.0, 900.5],
            "peaks": [100.0, 0.5],
            "abstained": "no sp\u00e9ed",
        },
        {"version": 2, "kind": 1, "code": 8, "value": 0.1, "limit": 4.5, "text": "why", "drops": [1, 2, 3]},
        {"version": 2, "kind": 2, "state": 1, "firmware": "0.1.0", "board": "pico_w", "interval_s": 60},
        {"version": 2, "kind": 3, "id": 1, "name": "x", "args": {"a": [1, None, True], "b": {"c": b"12"}}, "expiry": 9},
        {"version": 2, "kind": 4, "id": 1, "result": {"x": [-1, 0.5, "y"]}},
    )
    found = [bytes(buf[: encode(buf, record)]) for record in records]
    return found + [bytes.fromhex(one["plain"]) for one in json.loads((_VECTORS / "records.json").read_text())]


def _cbor() -> list[bytes]:
    listed = json.loads((_VECTORS / "rfc8949_appendix_a.json").read_text())
    return _records() + [bytes.fromhex(one["hex"]) for one in listed]


def _json_near_edges(*whole: object) -> list[bytes]:
    return [json.dumps(one).encode() for one in whole] + [b"[" * DEEP, b'{"a":' * DEEP, b'{"a": ' + b"9" * 5000 + b"}"]


def _toml(*paths: Path) -> list[bytes]:
    return [path.read_bytes() for path in paths] + [
        b"a = " + b"[" * DEEP,
        b"a = " + b"9" * 5000,
        b"a = 1979-05-27T07:32:00Z\n",
        b"a = nan\n[b]\nc = {d = 1}\n",
    ]


def _hello(name: bytes = b"gw") -> bytes:
    return hello(1, 2, bytes(range(16)), name)


@functools.cache
def _device() -> dict[str, list[bytes]]:
    records = _records()
    join = b"\x01\x1e\x0cMyWirelessAP\x10mysecurepassword"  # the example of improv-wifi.com
    connack, suback = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"
    topic = b"s/a/l/a/n/command"
    published = b"\x32" + bytes((2 + len(topic) + 2 + 5,)) + bytes((0, len(topic))) + topic + b"\x00\x09hello"
    answer = b"\x24\x01\0\0" + bytes(20) + bytes(range(8)) + bytes(8) + (3_976_000_000).to_bytes(4, "big") + bytes(4)
    volts = b"\x01\x04\x04" + struct.pack(">f", 230.5)
    config = {
        "site": "s",
        "area": "a",
        "node": "n",
        "wifi": {"ssid": "x", "password": "y"},
        "broker": {"host": "h"},
        "vibration": {"driver": "iis3dwb", "bus": "spi0", "range_g": 16, "samples": 1024},
        "temperature": None,
        "energy": {"bus": "uart1", "address": 3, "parity": "even"},
        "machine": {"rpm": 1480, "bearing": "6205", "classes": 3},
        "limits": {"velocity": [2.8, 4.5]},
        "gateway": {"nodes": {"0123456789abcdef": "s/a/l/a/n", "0123456789abcde0": None}, "visit_s": 5},
    }
    stage = {
        "do": "stage",
        "config": {"node": "n", "wifi": config["wifi"]},
        "key": bytes(range(32)).hex(),
        "generation": 1,
    }
    from build.keys import key_check

    lines = [{"do": "about"}, {"do": "scan"}, {"do": "join", "ssid": "x", "password": "y"}, {"do": "identify"}]
    staged = [stage, {"do": "commit", "check": 5}, {"do": "commit", "check": key_check(bytes(range(32)))}]
    manifest = {
        1: 1,
        2: 7,
        3: "0.2.0",
        4: 2_000_000_000,
        5: {"unix": ["unix", 774, ["1.28.0"], bytes(32), 99]},
        6: bytes(32),
        7: bytes(64),
        8: [bytes(8)],
        9: {"unix": ["1.28.0", bytes(32), 9]},
        10: {"unix": [bytes(32), 99]},
    }
    from quaver.release.patches import patches

    return {
        "cbor": _cbor(),
        "record": [bytes((which,)) + record for record in records for which in (0, 5)],
        "cose": [
            script((1, b"\x01\x01" + record), (1, b"\x01\x01" + record), (1, b"\x01\x02" + record), (0, record))
            for record in records[3:]
        ],
        "gatt-node": [
            script(
                (1, _hello()), (3, gatt.time_message(1_800_000_000_000)), (3, gatt.ack(1)), (3, gatt.command(b"12345"))
            ),
            script((1, _hello()), (3, gatt.time_message(5)), (3, gatt.content(7, bytes(300))), (3, gatt.absent(1))),
            script((1, _hello()), (1, gatt.ack(1))),
            script((1, _hello(b"old"))),
            script((1, gatt.time_message(1))),
            script((0, b"\xc0\x00\x03abc")),
        ],
        "gatt-gateway": [
            script(
                (4, bytes(16)), (3, gatt.record("telemetry", 1, bytes(90))), (3, gatt.want(bytes(8), 3)), (3, b"\0")
            ),
            script((4, b"1"), (3, gatt.record("event", 2, b"123"))),
            script((1, bytes((gatt.REFUSED,)))),
            script((4, b""), (1, b"\0")),
        ],
        "wired": [
            script((0, b"\xff\0noise"), (9, wired.hail(7, bytes(8), 3)), (6, bytes((wired.BYE,))), (0xFD, bytes(300))),
            script((0xFD, b"\1" * 254), (0xFD, b"\1" * 255 + b"\0"), (0, b"\0\3\1\1\0"), (1, b"\0\0")),
        ],
        "advertisement": [bytes((2, 1, 6)) + b"\x1b\x21" + gatt._SERVICE_BYTES + bytes(10), bytes(10), bytes(9)],
        "session": [
            script(
                (0, b"\x08\x01"), (1, bytes(range(32))), (2, b""), (3, b'{"do":"about"}'), (3, b"{}"), (0, b"\5\0\0")
            ),
            script((1, b"1"), (0, b"\3" + bytes(32)), (5, b"2"), (2, b"")),
            script((0, bytes((wire.HELLO_HOST, 2)) + bytes(32)), (1, b"")),
        ],
        "enrolment": [b"\n".join(json.dumps(line).encode() for line in some) for some in (lines, staged)]
        + _json_near_edges({"do": []}, {"do": "commit", "check": ""}),
        "config": _json_near_edges(
            config,
            {"machine": {"bearing": {"ratios": [3.6, 5.4, 2.4, 0.4]}}},
            {"machine": {"bearing": {"balls": 9, "ball_mm": 8, "pitch_mm": 39}}},
        ),
        "improv-serial": [script((1, join), (0, b"\x02\x00"), (0, b"\x03\x00"), (0, b"\x04\x00")), script((0, join))],
        "improv-ble": [script((5, join[:1] + join[2:]), (4, b"\x02"), (4, b"\x03"), (4, b"\x04"), (8, join))],
        "console": [
            script((1, b"\x08\x00"), (2, join), (0, b"log line\nIMPROQUAVER:\3"), (3, b"IMPROV\x01")),
            script((0, frames.session_frame(bytes(50))[:-3]), (5, bytes(40)), (0x76, join)),
        ],
        "mqtt": [
            connack + suback + b"\x40\x02\x00\x02" + published + b"\xd0\x00" + published,
            b"\x20\x02\x00\x05",
            connack + b"\x90\x03\x00\x01\x80",
            connack + suback + b"\x40\x02\x00\x02\xb0\x02\x00\x03",
            connack + suback + b"\x40\x02\x00\x02\x34" + published[1:],
            connack + suback + b"\x30\xff\xff\xff\x7f\0\1a",
            connack + suback + b"\x30\x03\x00\x01\xff",
            connack + suback + b"\x30" + b"\xff" * 40 + b"\x01",
        ],
        "ntp": [b"\1" + answer, b"\0" + answer],
        "meter": [
            script(*((1, volts),) * 7),
            script((1, b"\x01\x84\x02"), (1, volts), (0, volts + b"\0\0"), (1, b"\2" + volts)),
        ],
        "envelope": [
            *(bytes((control,)) + cbor2.dumps(manifest, canonical=True) for control in (1, 3)),
            b"\3" + cbor2.dumps(["no map, and as long as one", 1]),
            b"\3" + cbor2.dumps(manifest | {7: 5}, canonical=True),
        ],
        "patch": [patches([OLD], NEW)],
    }


_PLAN = (
    "id,name,site,area,line,asset,code,wifi,broker,time_server,group,mounting,bearing,rpm,limits\n"
    "e661640843217a2b,pump-7,plant,hall,line-2,pump,{code},plant,,none,1,rigid,6205,1480,velocity 2.8 4.5\n"
    'e661640843217a2c;;;\n\'e661640843217a2d,pump-8,,,,press,{code},,mqtts://b.example,,2,flexible,3.6/5.4/2.4/0.4,"1480,5",\n'
)


def _plans() -> list[bytes]:
    from quaver.provision.identity import _SYMBOLS, _check

    code = "7K2MXQ4TB0WNZ9R"
    text = _PLAN.format(code=code + _SYMBOLS[_check(code)])
    return [
        text.encode(),
        text.encode("utf-16"),
        text.replace(",", ";").encode(),
        b"\xef\xbb\xbfsep=;\nid;name;asset;code\n1;2;3;4\n",
        b'id,name,asset\n"e661640843217a2b,pump\n',
    ]


def _signal() -> list[float]:
    return [round(((n * 7919) % 201 - 100) / 90, 4) for n in range(80)]


@functools.cache
def _recordings(folder: Path) -> dict[str, list[bytes]]:
    import h5py
    import nptdms
    import numpy as np
    import pyuff
    import scipy.io
    import scipy.io.wavfile

    signal = np.array(_signal(), np.float32)
    rows = [f"{n / 20000:.5f},{value}" for n, value in enumerate(_signal())]
    texts = {
        "recording-csv": [
            "\n".join(rows),
            "time,accel [g]\n" + "\n".join(rows),
            "t;a\n" + "\n".join(rows).replace(",", ";").replace(".", ","),
            "# data_rate = 20000 Hz\n" + "\n".join(map(str, _signal())),
            "1 2 3\n" * 70,
            ",".join(map(str, _signal())),
        ],
        "recording-lvm": [
            "LabVIEW Measurement\t\nSeparator\tTab\nDecimal_Separator\t,\nX_Columns\tNo\n***End_of_Header***\t\n\t\n"
            "Channels\t1\n"
            "Y_Unit_Label\tg\nX_Dimension\tTime\nDelta_X\t0,000050\n***End_of_Header***\t\t\nX_Value\tDev0/Ai0\tComment\n"
            + "\n".join(f"\t{value}".replace(".", ",") for value in _signal())
        ],
    }
    found = {name: [text.encode() for text in some] for name, some in texts.items()}

    def written(write: Callable[..., object], *what: object, **named: Any) -> bytes:
        out = io.BytesIO()
        write(out, *what, **named)
        return out.getvalue()

    whole = (signal * 1000).astype(np.int16)
    pair = whole.reshape(2, 40)
    bearing = {"gs": signal, "sr": 20000.0, "rate": 25.0}
    found["recording-wav"] = [written(scipy.io.wavfile.write, 20000, data) for data in (signal, whole)]
    found["recording-npy"] = [written(np.save, data) for data in (signal, signal.reshape(-1, 2), whole)]
    found["recording-npz"] = [
        written(np.savez, x=whole, g_per_lsb=0.001, fs=20000.0, rpm=1480.0),
        written(np.savez_compressed, horizontal=pair, vertical=pair),
    ]
    found["recording-mat"] = [
        written(scipy.io.savemat, {"x": signal, "fs": 20000.0, "s": {"y_values": {"values": signal}}}),
        written(scipy.io.savemat, {"X097_DE_time": signal, "X097RPM": 1797}),
        written(scipy.io.savemat, {"bearing": bearing}, do_compression=True),
    ]
    with h5py.File(folder / "s.h5", "w") as file:
        file["x"] = signal
        file.attrs["fs"] = 20000.0
        file["x"].attrs["unit"] = "g"
    with nptdms.TdmsWriter(folder / "s.tdms") as writer:
        about = {"wf_increment": 1 / 20000, "unit_string": "g"}
        writer.write_segment([nptdms.ChannelObject("Vibration", "acc_z", signal, about)])
    data = pyuff.prepare_58(
        func_type=1,
        rsp_node=1,
        rsp_dir=3,
        ref_node=1,
        ref_dir=3,
        data=signal.astype(float),
        x=np.arange(80) / 20000,
        id1="z",
        ordinate_spec_data_type=12,
        ordinate_axis_units_lab="m/s^2",
        abscissa_spec_data_type=17,
        binary=0,
        orddenom_spec_data_type=0,
        z_axis_spec_data_type=0,
        abscissa_inc=1 / 20000,
        abscissa_spacing=1,
        ord_data_type=4,
    )
    pyuff.UFF(str(folder / "s.uff")).write_sets(data, "overwrite")
    for suffix, name in ((".h5", "hdf5"), (".tdms", "tdms"), (".uff", "uff")):
        found[f"recording-{name}"] = [(folder / f"s{suffix}").read_bytes()]
    return found


def _pages() -> list[bytes]:
    from quaver.serve.app import all_endpoints

    found = []
    for number, each in enumerate(each for each in all_endpoints() if each.body or each.query):
        model = each.body or each.query
        assert model
        names = list(model.model_fields)
        if each.body:
            found += [
                bytes((number,)) + one
                for one in _json_near_edges(dict.fromkeys(names, "1"), dict.fromkeys(names, 1))[:2]
            ]
        else:
            found.append(bytes((number,)) + "&".join(f"{name}=1" for name in names).encode())
    command = {"name": "config_set", "args": {"changes": {"alarm.count": 3}}}
    found += [bytes((0,)) + one for one in _json_near_edges(command)]
    return found


def _releases() -> list[bytes]:
    """A small one that is whole, as `Release.encode` writes it."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from quaver.release.files import listing
    from quaver.release.manifest import BoardPart, Manifest
    from quaver.release.signing import PrivateKey

    files = {"main.py": b"pass\n", "code/a": b"M\6\0"}
    listed, sbom = listing(files), b"{}"
    contents = {hashlib.sha256(data).digest(): data for data in (*files.values(), listed, sbom)}
    board = BoardPart("unix", 6, ("1.28.0",), hashlib.sha256(listed).digest(), len(listed))
    manifest = Manifest(7, "0.2.0", expires=2_000_000_000, boards={"unix": board}, sbom=hashlib.sha256(sbom).digest())
    key = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
    return [cbor2.dumps([[key.sign(manifest.encode())], contents], canonical=True), cbor2.dumps([[b""], {}])]


@functools.cache
def _host() -> dict[str, list[bytes]]:
    from quaver.build.uf2 import make_uf2

    records = _records()
    quantities = cbor2.dumps({0: 2, 1: 0, 2: "n", 55: {"pressure": [1.5, "bar"]}}, canonical=True)
    table = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subkind, offset, size, name, 0)
        for name, kind, subkind, offset, size in (
            (b"nvs", 1, 2, 0x9000, 0x6000),
            (b"phy_init", 1, 1, 0xF000, 0x1000),
            (b"factory", 0, 0, 0x10000, 0x1F0000),
        )
    )
    content = cbor2.dumps(["0123456789ab", 3, [[bytes(8), "s/a/l/a/n", "telemetry", 1, 2, bytes(8), 3, "{}"]]])
    answer, refusal = b"\x01\x04\x04\x41\xc4\x00\x00", b"\x01\x84\x02"
    return {
        "message": [bytes((n % 5,)) + record for n, record in enumerate([*records, quantities])],
        "sealed-message": [
            b"\1" + cbor2.dumps({0: 2, 1: 0, 5: b"\1", 55: {"p": [0.5, "1"]}}, canonical=True),
            b"\1" + records[0],
        ],
        "sparkplug": [
            b'{"online": true, "timestamp": 1800000000000}',
            b"\x08\x01\x12\x18\x0a\x14Node Control/Rebirth\x70\x01",
            *_json_near_edges([]),
        ],
        "host-session": [
            script((1, b""), (2, b""), (3, b'{"result": {"board": "x"}}'), (3, b'{"result": 1}')),
            script((1, b""), (2, b""), (3, b'{"error": "no"}')),
            script((0, b"\x06\x03\x00\x05")),
            script((0, b"\x07\x20"), (1, b""), (2, b""), (3, b"[" * 500)),
        ],
        "uf2": [b"\0" + make_uf2({0x10000000: bytes(256)}, 0xE48BFF56), b"\1" + bytes(12) + b"\0\0\0\x10" + bytes(496)],
        "partitions": [b"\1" + table, b"\0" + table, b"\1" + table[:64]],
        "plan": _plans(),
        "label": [b"QUAVER1:E661640843217A2B:" + _plans()[0].split(b",")[20][:16], b"QUAVER1:"],
        "release": _releases(),
        "bundle": [
            bytes((control,)) + one
            for one in (content, cbor2.dumps([1] * DEEP), b"\x81" * DEEP, b"\xc4\x82\x1a\xff\xff\xff\xff\x01")
            for control in (1, 2)
        ],
        "datagram": [
            script(*((2 | n << 2, b"") for n in range(7))),
            script((1, b"\x04\xb0ab"), (2, b""), (0, b"QVD1")),
        ],
        "page": _pages(),
        "machine": [
            b"\2" + answer,
            b"\3\0\1\0\0\0\7" + answer,
            b"\2" + refusal,
            b"\1\0\1\0\0\0\3" + refusal,
            b"\2\1\4\2\0\0",
        ],
        "bridge.toml": _toml(_HOST / "bridge/example.toml"),
        "plant.toml": _toml(_HOST / "plant/example.toml"),
        "machines.toml": [
            b'[[modbus]]\nplace = "s/a/l/a/n"\ntcp = "10.0.0.7:502"\n[[modbus.register]]\nfield = "temperature_c"\n'
            b'address = 0\ntype = "uint16"\nscale = 0.1\n[[modbus.register]]\nquantity = "oil"\naddress = 1\n'
            b'type = "float32"\norder = "CDAB"\nunit = "bar"\n',
            *_toml(),
        ],
        "reports.toml": _toml(_HOST / "reports/example.toml"),
        "board.toml": _toml(payload("boards", "pico_w.toml"), payload("boards", "esp32_c3.toml")),
        "bearing.toml": [
            *_toml(),
            b"balls = 9\nball_mm = 7.94\npitch_mm = 39.04\nangle_deg = 0\n",
            b"[bearing]\nratios = [1, 2, 3, 4]\n",
        ],
    }


def seeds(name: str, folder: Path) -> list[bytes]:
    """Of a target. folder: for files that are made on the way."""
    if name.startswith("recording-"):
        return _recordings(folder)[name]
    return (_device() if name in [row[0] for row in TARGETS] else _host())[name]
