"""Machines that answer Modbus become nodes: asked of real pymodbus servers, by TCP and by RTU."""

import asyncio
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from test_bridge import readings
from test_ingest import Bench

from quaver.bench.mosquitto import Mosquitto
from quaver.broker.reader import Message
from quaver.cli import main
from quaver.fleet.keys import KeyStore
from quaver.messages.quantities import QUANTITIES
from quaver.modbus.registers import CONVERSIONS, FIELDS, ORDERS, TYPES, number, words_of
from tests.waiting import PATIENCE_S, wait_until

PLACE = "plant/hall/line-2/press/press-3"
PRESS = bytes.fromhex("0123456789abcdef")
FLOAT = struct.unpack(">HH", struct.pack(">f", 24.5))
REGISTERS = [
    SimData(0, values=415, datatype=DataType.UINT16),  # 41.5 degrees
    SimData(10, values=list(FLOAT[::-1]), datatype=DataType.UINT16),  # 24.5, low word first
    SimData(20, values=[0xF6FF], datatype=DataType.UINT16),  # -10, low byte first
    SimData(30, values=[0x7FC0, 0], datatype=DataType.UINT16),  # no number
]
MACHINE = f"""
[[modbus]]
place = "{PLACE}"
interval_s = 1
LINE
[[modbus.register]]
field = "temperature_c"
address = 0
type = "uint16"
scale = 0.1
[[modbus.register]]
field = "shaft_hz"
address = 10
type = "float32"
order = "CDAB"
[[modbus.register]]
field = "energy.power_w"
address = 20
type = "int16"
order = "BADC"
unit = "kW"
[[modbus.register]]
quantity = "oil_pressure"
address = 0
type = "uint16"
scale = 0.01
unit = "bar"
[[modbus.register]]
field = "energy.energy_kwh"
address = 30
type = "float32"
"""
OIL = """
[[modbus.register]]
quantity = "oil_pressure"
address = 0
type = "uint16"
unit = "bar"
"""


@contextmanager
def serving(serial: str | None = None) -> Iterator[int]:
    """A pymodbus server in a thread of its own; its port."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    found: dict[str, Any] = {}

    async def serve() -> None:
        device = SimDevice(id=1, simdata=REGISTERS)
        server: Any
        if serial is None:
            server = ModbusTcpServer(device, address=("127.0.0.1", 0))
        else:
            server = ModbusSerialServer(device, port=serial, baudrate=9600)
        found["done"] = asyncio.Event()
        await server.serve_forever(background=True)
        found["port"] = 0 if serial else server.transport.sockets[0].getsockname()[1]
        ready.set()
        await found["done"].wait()
        await server.shutdown()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        yield found["port"]
    finally:
        loop.call_soon_threadsafe(found["done"].set)
        thread.join(PATIENCE_S)


@contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Two serial ports, and what goes into one comes out of the other."""
    import tty

    pairs = [os.openpty(), os.openpty()]
    for _, slave in pairs:
        tty.setraw(slave)
    stop = threading.Event()

    def carry() -> None:
        ends = {pairs[0][0]: pairs[1][0], pairs[1][0]: pairs[0][0]}
        while not stop.is_set():
            for end in select.select(list(ends), [], [], 0.1)[0]:
                os.write(ends[end], os.read(end, 512))

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        stop.set()
        thread.join()
        for descriptor in (one for pair in pairs for one in pair):
            os.close(descriptor)


@given(st.integers(-(2**31), 2**31 - 1))
def test_the_orders_are_those_of_pymodbus_and_their_mirrors(value: int) -> None:
    kinds = {"int32": ModbusClientMixin.DATATYPE.INT32, "uint32": ModbusClientMixin.DATATYPE.UINT32}
    for kind, theirs in kinds.items():
        held = value if kind == "int32" else value % 2**32
        for order, words in (("ABCD", "big"), ("CDAB", "little")):
            registers = ModbusClientMixin.convert_to_registers(held, theirs, word_order=words)
            assert number(registers, kind, order) == held
            swapped = [register >> 8 | (register & 0xFF) << 8 for register in registers]
            assert number(swapped, kind, {"ABCD": "BADC", "CDAB": "DCBA"}[order]) == held


def test_fields_and_units_are_those_of_the_records() -> None:
    assert {field: QUANTITIES[field].ucum for field in FIELDS} == FIELDS
    assert {to for _, to in CONVERSIONS} <= set(FIELDS.values())
    assert {kind: words_of(kind) for kind in TYPES} == {
        "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2
    }  # fmt: skip


def test_probe_shows_a_register_in_all_four_orders(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as port:
        where = ["modbus", "probe", "--tcp", f"127.0.0.1:{port}"]
        assert main([*where, "10", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["registers"] == list(FLOAT[::-1]) and list(shown["orders"]) == list(ORDERS)
        assert shown["orders"]["CDAB"]["float32"] == 24.5 and shown["orders"]["ABCD"]["float32"] != 24.5
        assert main([*where, "20"]) == 0  # a single one
        said = capsys.readouterr().out
        assert "16 bits alone" in said and "float32" not in said
        row = next(line.split() for line in said.splitlines() if line.startswith("BADC"))
        assert row == ["BADC", "-10", "65526"]
        assert main([*where, "99"]) == 17
        said = capsys.readouterr().err
        assert "refuses holding register 99 (exception 2, no such register)" in said and said.count("\n") == 1
    assert main([*where, "10"]) == 17
    assert "can't be reached" in capsys.readouterr().err
    assert main(["modbus", "probe", "10"]) == 2


def test_probe_asks_a_serial_line(capsys: pytest.CaptureFixture[str]) -> None:
    with cable() as (ours, theirs), serving(theirs):
        assert main(["modbus", "probe", "--rtu", ours, "10", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["orders"]["CDAB"]["float32"] == 24.5
    assert main(["modbus", "probe", "--rtu", "/dev/none", "10"]) == 17
    said = capsys.readouterr().err
    assert "/dev/none: can't be reached" in said and said.count("\n") == 1


def write(tmp_path: Path, line: str) -> Path:
    path = tmp_path / "machines.toml"
    path.write_text(MACHINE.replace("LINE", line))
    return path


def test_a_machine_is_a_node_in_the_store(bench: Bench, keys: KeyStore, mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Its registers as telemetry; what it stops to answer as a failed sensor; and all of it accounted for."""
    keys.create(PRESS, "press-3")
    heard: list[Message] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, m: heard.append(Message(m.topic.encode(), m.payload, m.qos, m.retain))
    ready = threading.Event()
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", mosquitto.port)
    client.subscribe(f"{PLACE}/#", qos=1)
    client.loop_start()
    assert ready.wait(PATIENCE_S)

    def stored() -> list[Any]:
        while heard:
            bench.take(heard.pop(0))
        return readings(bench)

    def until(condition: Any) -> list[Any]:
        return list(wait_until(lambda: condition(found := stored()) and found, what="what the machine says"))

    try:
        with serving() as port:
            path = write(tmp_path, f'tcp = "127.0.0.1:{port}"')
            command = [
                *(sys.executable, "-m", "quaver.cli", "gateway", "--broker", f"mqtt://127.0.0.1:{mosquitto.port}"),
                *("--modbus", str(path), "--store", str(tmp_path / "spool.sqlite"), "--keys", str(keys.path.parent)),
            ]
            gateway = subprocess.Popen([*command, "--trust-clock"], stderr=subprocess.PIPE, text=True)
            found = until(lambda all: sum(one.kind == "telemetry" for one in all) >= 2)
        found = until(lambda all: any(one.values.get("code") == "sensor_failed" for one in all))
    finally:
        gateway.send_signal(signal.SIGINT)
        _, said = gateway.communicate(timeout=PATIENCE_S)
        client.disconnect()
        client.loop_stop()
    assert {one.node for one in found} == {PRESS.hex()} and {one.topic for one in found} == {PLACE}
    status = next(one for one in found if one.kind == "status")
    assert status.values["state"] == "via gateway" and status.values["interval_s"] == 1
    telemetry = [one.values for one in found if one.kind == "telemetry"]
    assert telemetry[0]["temperature_c"] == 41.5 and telemetry[0]["shaft_hz"] == 24.5
    assert telemetry[0]["quantities"] == {"oil_pressure": {"value": 4.15, "unit": "bar"}}
    assert telemetry[0]["energy"] == {"power_w": -10_000.0} and not telemetry[0].get("quality")
    absent = [one.values for one in found if one.values.get("code") == "value_absent"]
    assert [one["subject"] for one in absent] == ["energy.energy_kwh"] and "no usable number" in absent[0]["text"]
    failed = {one.values["subject"] for one in found if one.values.get("code") == "sensor_failed"}
    assert failed and failed <= {"temperature", "vibration", "energy", "quantities"}
    assert any("temperature_failed" in one.get("quality", ()) for one in telemetry)
    assert "machines: 1" in said and f"{PLACE}: temperature: 127.0.0.1:{port}" in said
    seqs = [one.place.seq for one in sorted(found, key=lambda one: one.place.seq) if one.kind != "status"]
    assert seqs == list(range(len(seqs)))  # none is missing


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = ", "is no TOML"),
        ("modbus = []", "modbus"),
        (MACHINE.replace("LINE", ""), "name one of tcp"),
        (MACHINE.replace("LINE", 'tcp = "h:x"'), 'expected "host" or "host:port"'),
        (MACHINE.replace("LINE", 'tcp = "h"').replace('"temperature_c"', '"oil"'), "modbus.0.register.0.field"),
        (MACHINE.replace("LINE", 'tcp = "h"').replace('"kW"', '"bar"'), "unit 'bar': expected one of W, kW"),
        (MACHINE.replace("LINE", 'tcp = "h"').replace('"shaft_hz"', '"temperature_c"'), "two registers"),
        (MACHINE.replace("LINE", 'tcp = "h"').replace('"bar"', '""'), "expected the unit of the quantity by UCUM"),
        (MACHINE.replace("LINE", 'tcp = "h"').replace('"oil_pressure"', '"Oil"'), "quantity 'Oil': expected up to 24"),
        (
            MACHINE.replace("LINE", 'tcp = "h"').replace("quantity = ", 'field = "rms_g"\nquantity = '),
            "name one of field",
        ),
        (MACHINE.replace("LINE", 'tcp = "h"').replace('quantity = "oil_pressure"', ""), "name one of field"),
        (MACHINE.replace("LINE", 'tcp = "h"') + OIL, "two registers are oil_pressure"),
        (MACHINE.replace("LINE", 'tcp = "h"') + "".join(OIL.replace("oil", f"oil{n}") for n in range(12)), "than 12"),
        (MACHINE.replace("LINE", 'rtu = "/dev/x"\nunit_id = 250'), "expected 1 to 247"),
        (MACHINE.replace("LINE", 'tcp = "h"') * 2, "two machines have the place"),
        (MACHINE.replace("LINE", 'tcp = "h"'), "create its key with quaver keys create ID --name press-3"),
    ],
)
def test_a_wrong_file_is_refused_in_a_line(
    text: str, words: str, tmp_path: Path, keys: KeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.create(bytes(8), "another")
    path = tmp_path / "machines.toml"
    path.write_text(text)
    line = ["gateway", "--broker", "mqtt://127.0.0.1:1", "--modbus", str(path), "--keys", str(keys.path.parent)]
    assert main([*line, "--store", str(tmp_path / "spool.sqlite")]) == 17
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
