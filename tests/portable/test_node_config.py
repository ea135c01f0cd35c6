"""The configuration: whatever the file says, the node gets a whole one and a line for each mistake."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_buses import Clock

from build import config, sensors
from extra import ads131m02
from quaver.emulator.sensors.parts import PARTS
from quaver.pytest_plugin import default_rig
from quaver_wire.names import ENERGY

BAUDRATES = "one of 0, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200"
DEFAULT, _ = config.parse({})
CLASSES = 'machine.classes: expected {"rpm": […]} or {"power_w": […]}, 1 to 3 rising numbers'
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["site", "wifi", "ssid", "broker", "port", "limits", "rms", "vibration", "samples", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


def test_an_empty_file_is_all_defaults() -> None:
    given, problems = config.parse({})
    assert problems == []
    assert given["vibration"]["samples"] == 0
    assert given["machine"] == {
        "rpm": 0.0,
        "group": 0,
        "mounting": "rigid",
        "learn": 10,
        "running_g": 0.02,
        "tachometer_pin": -1,
        "tachometer_pulses": 1,
        "bearing": None,
        "classes": None,
    }
    assert given["limits"] == {}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"interval_s": "60"}, "interval_s: expected float from 0.0 to 86400.0"),
        ({"broker": {"port": 70000}}, "broker.port: expected int from 1 to 65535"),
        ({"broker": {"port": True}}, "broker.port: expected int from 1 to 65535"),
        ({"broker": 7}, "broker: expected an object"),
        ({"brokre": {}}, "brokre: unknown key"),
        ({"broker": {"hots": "x"}}, "broker.hots: unknown key"),
        ({"broker": {5: "x"}}, "broker.5: unknown key"),  # MicroPython's JSON takes a number for a key
        ({"vibration": {"samples": 1000}}, "vibration.samples: expected a power of two"),
        ({"power": {"wake_g": 2.0}}, "power.wake_g: needs power.wake_pin, where the accelerometer's interrupt arrives"),
        ({"power": {"records": 17}}, "power.records: expected int from 1 to 16"),
        ({"alarm": {"count": 5, "of": 3}}, "alarm.of: expected at least alarm.count"),
        ({"energy": {"baudrate": 12345}}, f"energy.baudrate: expected {BAUDRATES}"),
        ({"energy": {"baudrate": "9600"}}, "energy.baudrate: expected int from 0 to 115200"),
        ({"energy": {"parity": "E"}}, "energy.parity: expected one of none, even, odd"),
        ({"energy": {"parity": 1}}, "energy.parity: expected str from 0 to 8"),
        ({"vibration": {"range_g": 3}}, "vibration.range_g: expected one of 2, 4, 8, 16"),
        ({"vibration": {"bus": "i2c0"}}, "vibration.bus: expected one of spi"),
        ({"temperature": {"address": 0x53}}, "temperature.address: expected one of 72, 73, 74, 75"),
        ({"energy": {"de_pin": 65}}, "energy.de_pin: expected int from -1 to 64"),
        *(
            ({"machine": {"classes": classes}}, CLASSES)
            for classes in (
                [1200],
                {},
                {"rpm": 1200},
                {"rpm": []},
                {"rpm": [0]},
                {"rpm": [1800, 1200]},
                {"rpm": ["1200"]},
                {"rpm": [1, 2, 3, 4]},
                {"load": [5]},
                {"rpm": [1200], "power_w": [300]},
                {"rpm": [1e9]},
            )
        ),
        ({"site": "a/b"}, "site: expected no / + # in a name"),
        ({"limits": {"rms": [2, 1]}}, "limits.rms: expected [warning, alarm], 0 < warning <= alarm"),
        ({"limits": {"rms": 3}}, "limits.rms: expected [warning, alarm], 0 < warning <= alarm"),
        ({"limits": [1]}, "limits: expected {feature: [warning, alarm]}"),
        ([], "config: expected an object"),
    ],
)
def test_a_mistake_is_one_line_and_costs_only_its_own_value(given: Any, line: str) -> None:
    result, problems = config.parse(given)
    assert problems == [line]
    same = {key for key in DEFAULT if result[key] == DEFAULT[key]}
    assert same >= set(DEFAULT) - {"alarm"}


@pytest.mark.parametrize(
    ("given", "classes", "problems"),
    [
        ({"machine": {"classes": {"rpm": [1200, 1800]}}}, ("rpm", [1200, 1800]), []),
        ({"machine": {"rpm": 1480, "tachometer_pin": 2, "classes": {"rpm": [1200]}}}, ("rpm", [1200]), []),
        ({"machine": {"classes": {"power_w": [300.5]}}}, ("power_w", [300.5]), []),
        ({"machine": {"classes": None}}, None, []),
        (
            {"machine": {"classes": {"power_w": [300]}}, "energy": None},
            None,
            ["machine.classes: power_w: needs the energy meter"],
        ),
        (
            {"machine": {"rpm": 1480, "classes": {"rpm": [1200]}}},
            None,
            ["machine.classes: rpm: needs machine.tachometer_pin, or machine.rpm 0: no other speed is seen"],
        ),
    ],
)
def test_classes_need_what_tells_them_apart(given: Any, classes: Any, problems: list[str]) -> None:
    result, found = config.parse(given)
    assert (result["machine"]["classes"], found) == (classes, problems)


def test_the_settings_of_a_meters_line() -> None:
    assert {name: DEFAULT["energy"][name] for name in ("baudrate", "parity", "de_pin")} == {
        "baudrate": 0,
        "parity": "none",
        "de_pin": -1,
    }
    given = {"baudrate": 9600, "parity": "even", "de_pin": 10}
    result, problems = config.parse({"energy": given})
    assert problems == []
    assert given.items() <= result["energy"].items()


def test_a_driver_brings_its_own_defaults() -> None:
    for section, wanted in (
        ({}, {"driver": "iis3dwb", "bus": "spi0", "range_g": 16}),
        ({"driver": "adxl345"}, {"bus": "spi0", "address": 0x53, "range_g": 16}),
        ({"driver": "adxl345", "bus": "i2c1", "address": 0x1D}, {"bus": "i2c1", "address": 0x1D}),
    ):
        result, problems = config.parse({"vibration": section})
        assert problems == []
        assert wanted.items() <= result["vibration"].items()
    temperature = DEFAULT["temperature"]
    assert (temperature["driver"], temperature["bus"], temperature["address"]) == ("tmp117", "i2c0", 0x48)
    assert (DEFAULT["energy"]["bus"], DEFAULT["energy"]["address"]) == ("uart1", 1)


def test_a_driver_that_there_is_none_of_switches_its_sensor_off() -> None:
    result, problems = config.parse({"vibration": {"driver": "adxl335"}, "energy": {"driver": ""}})
    assert problems == [
        "energy.driver: expected str from 1 to 16",
        f"vibration.driver: expected one of {', '.join(sensors.names('vibration'))}",
    ]
    assert result["vibration"] is None and result["energy"]["driver"] == "sdm120"


class Port:
    """A board without parts: the makers of drivers touch none."""

    board: Any = type("Board", (), {"PINS": {"spi0_cs": 17}, "BUSES": {"spi0": ("spi", 8_000_000)}})

    def bus(self, name: str, kind: str) -> Any:
        assert name.startswith(kind)
        return SimpleNamespace(init=lambda polarity, phase: None)

    def output(self, pin: int, value: int) -> int:
        return pin

    def on_edge(self, pin: int, handler: Any) -> None:
        pass

    def one_wire(self, pin: int) -> int:
        return pin

    def uart(self, name: str, baudrate: int, parity: str) -> str:
        return name


@pytest.mark.parametrize(
    ("measures", "driver", "bus"),
    [
        (measures, driver, bus)
        for measures in sensors.DRIVERS
        for driver in sensors.names(measures)
        for bus in dict(sensors._fields(measures, driver))["bus"]
    ],
)
def test_a_row_says_what_its_driver_takes(
    measures: str, driver: str, bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock().install(monkeypatch)
    registers = {"registers": {"power_w": "input 12 float32"}} if driver == "modbus" else {}
    given, problems = config.parse({measures: {"driver": driver, "bus": bus, **registers}})
    assert problems == []
    for range_g in dict(sensors._fields(measures, driver)).get("range_g", ("0",)):
        made = sensors.sensor(measures, Port(), {**given[measures], "range_g": int(range_g)})
        if measures == "vibration":
            assert sensors.rate_hz(given[measures]) == made.ODR_HZ


@pytest.mark.parametrize(
    ("section", "line", "value"),
    [
        ({"driver": "ds18b20", "bus": "gpio"}, "bus: expected one of gpio", ("bus", "gpio22")),
        ({"driver": "ds18b20", "bus": "gpio3"}, None, ("bus", "gpio3")),
        ({"driver": "max31865", "wires": 1}, "wires: expected one of 2, 3, 4", ("wires", 3)),
    ],
)
def test_a_setting_of_one_driver(section: dict[str, Any], line: str | None, value: tuple[str, Any]) -> None:
    result, problems = config.parse({"temperature": section})
    assert problems == ([f"temperature.{line}"] if line else [])
    assert result["temperature"][value[0]] == value[1]


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"sensitivity_mv_g": 100}, "drdy_pin: ads131m02 needs it"),
        ({"drdy_pin": 0}, "sensitivity_mv_g: ads131m02 needs it"),
        ({"drdy_pin": 0, "sensitivity_mv_g": 0.5}, None),
    ],
)
def test_a_setting_that_has_to_be_given(
    section: dict[str, Any], line: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, module in (("own", ModuleType("own")), ("own.ads131m02", ads131m02)):
        monkeypatch.setitem(sys.modules, name, module)
    result, problems = config.parse({"vibration": {"driver": "ads131m02", **section}})
    assert problems == ([f"vibration.{line}"] if line else [])
    assert (result["vibration"] is None) == bool(line)


@pytest.mark.parametrize(
    ("section", "more", "line"),
    [
        ({"drdy_pin": 3}, {}, "current.a_per_v: ads131m02 needs it"),
        ({"a_per_v": 30}, {}, "current.drdy_pin: ads131m02 needs it"),
        ({"line_hz": 55}, {}, "current.line_hz: expected one of 50, 60"),
        ({"cs": -1}, {}, "current: needs a cs of its own, and no ADXL355 or ADXL357 on its bus"),
        ({"cs": -1}, {"vibration": None}, None),
        (
            {},
            {"vibration": {"driver": "adxl357"}},
            "current: needs a cs of its own, and no ADXL355 or ADXL357 on its bus",
        ),
        ({}, {"vibration": {"driver": "adxl357", "bus": "i2c0"}}, None),
        ({}, {"power": {"sleep": True}}, "power.sleep: not with current, which takes 4 s a measurement"),
        ({}, {}, None),
    ],
)
def test_a_clamp(
    section: dict[str, Any], more: dict[str, Any], line: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, module in (("own", ModuleType("own")), ("own.ads131m02", ads131m02)):
        monkeypatch.setitem(sys.modules, name, module)
    whole = (
        {"cs": 9, **section}
        if "drdy_pin" in section or "a_per_v" in section
        else {"cs": 9, "drdy_pin": 3, "a_per_v": 30, **section}
    )
    result, problems = config.parse({"current": whole, **more})
    assert problems == ([line] if line else [])
    refused = line is not None and not line.startswith(("power", "current.line_hz"))
    assert (result["current"] is None) == refused
    assert not result["power"]["sleep"]
    if not refused:
        assert (result["current"]["bus"], result["current"]["line_hz"]) == ("spi0", 50)


def test_a_clamp_without_its_driver_and_none_at_all() -> None:
    assert DEFAULT["current"] is None
    result, problems = config.parse({"current": {"drdy_pin": 3}})
    assert problems == ["current.driver: expected one of your own: quaver new sensor ads131m02"]
    assert result["current"] is None


def test_a_meter_by_its_registers() -> None:
    given = {
        "voltage_v": "input 0 float32",
        "power_w": "holding 12 int16 BADC -0.1",
        "energy_kwh": "holding 65534 uint32 CDAB 0.01",
    }
    result, problems = config.parse({"energy": {"driver": "modbus", "registers": given}})
    assert problems == []
    rows = result["energy"]["registers"]
    assert rows[0] == (4, 0, "f", "ABCD", 1_000_000, 1)
    assert rows[2] == (3, 12, "i", "BA", -100_000, 1)
    assert rows[6] == (3, 65534, "u", "CDAB", 10_000, 1)
    assert [at for at, row in enumerate(rows) if row is None] == [1, 3, 4, 5]
    assert sensors.VALUES == ENERGY


@pytest.mark.parametrize(
    "text",
    [
        *("coil 1 float32", "input 1 float64", "input x float32", "input 65535 int16", "input -1 int16", "input 1", ""),
        *("input 1 int16 ABDC", "input 1 int16 ABCD 0", "input 1 int16 ABCD nan", "input 1 int16 ABCD 1 1", None, 12),
    ],
)
def test_a_register_that_is_none_is_left_out(text: Any) -> None:
    given = {"power_w": text, "current_a": "input 6 float32"}
    result, problems = config.parse({"energy": {"driver": "modbus", "registers": given}})
    assert [line.split(":")[0] for line in problems] == ["energy.registers.power_w"]
    assert [row is None for row in result["energy"]["registers"]] == [True, False, True, True, True, True, True]


def test_pulses_are_counted_where_asked_for_and_not_asleep() -> None:
    assert DEFAULT["pulses"] is None
    assert config.parse({"pulses": {}})[0]["pulses"] == {"driver": "pulses", "bus": "gpio15", "width_ms": 20}
    for section in ("pulses", "energy"):
        result, problems = config.parse({section: {"driver": "pulses"}, "power": {"sleep": True}})
        assert problems == ["power.sleep: not with a pulse counter, which sees no pulse in a sleep"]
        assert not result["power"]["sleep"]
    result, problems = config.parse({"pulses": {}, "energy": {"driver": "pulses"}})
    assert problems == ["pulses: not beside energy.driver pulses: a node counts on one pin"]
    assert result["pulses"] is None


@pytest.mark.parametrize("given", [None, {}, [], "x"])
def test_a_meter_without_registers_is_a_problem_and_no_sensor(given: Any) -> None:
    result, problems = config.parse({"energy": {"driver": "modbus", "registers": given}})
    assert [line.split(":")[0] for line in problems] == ["energy.registers"]
    with pytest.raises(ValueError, match="no registers"):
        sensors.sensor("energy", Port(), result["energy"])


def test_every_driver_meets_its_part_on_an_emulated_board() -> None:
    emulated = {part.name for part in default_rig("rp2040:")} | set(PARTS)
    assert {driver for measures in sensors.DRIVERS for driver in sensors.names(measures)} <= emulated


def test_a_sensor_is_switched_off_by_null_and_a_limit_too() -> None:
    result, problems = config.parse({"energy": None, "limits": {"crest": None, "rms": [0.2, 0.4]}})
    assert problems == []
    assert result["energy"] is None
    assert result["limits"] == {"rms": (0.2, 0.4)}


@given(trees)
def test_no_file_breaks_the_node(tree: Any) -> None:
    result, _ = config.parse(tree)
    assert set(result) == set(DEFAULT)


def test_what_is_not_json_is_a_problem_and_a_missing_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert config.load(str(path)) == (DEFAULT, [])
    path.write_text("{broken")
    assert config.load(str(path)) == (DEFAULT, [f"{path}: not JSON"])
    path.write_text(json.dumps({"node": "n7"}))
    assert config.load(str(path))[0]["node"] == "n7"


def test_a_machine_of_several_classes_does_not_sleep() -> None:
    result, problems = config.parse({"power": {"sleep": True}, "machine": {"classes": {"rpm": [1200]}}})
    assert problems == ["power.sleep: not with machine.classes: what they learn does not live through sleep"]
    assert not result["power"]["sleep"]


@pytest.mark.parametrize(
    ("links", "given", "link", "line"),
    [
        (("wifi", "ble"), {}, "wifi", None),
        (("uart",), {}, "uart", None),
        (("uart",), {"link": "wifi"}, "uart", "link: expected one of uart"),
        (("wifi", "ble"), {"link": "uart"}, "wifi", "link: expected one of wifi, ble"),
        (("uart",), {"uart": 1}, "uart", "uart: expected an object"),
        (("uart",), {"uart": {"baud": 9600}}, "uart", "uart.baud: unknown key"),
        (("uart",), {"uart": {"bus": "i2c0"}}, "uart", "uart.bus: expected one of uart0, uart1"),
        (("uart",), {"uart": {"bus": ["uart0"]}}, "uart", "uart.bus: expected one of uart0, uart1"),
        (("uart",), {"uart": {"bus": "uart1"}}, "uart", "energy.bus: uart1 has the link"),
        (
            ("uart",),
            {"power": {"sleep": True}},
            "uart",
            "power.sleep: not with link uart",
        ),
        (
            ("uart",),
            {"uart": {"baudrate": 9601}},
            "uart",
            "uart.baudrate: expected one of 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600",
        ),
    ],
)
def test_a_node_has_a_link_that_its_board_has(
    monkeypatch: pytest.MonkeyPatch, links: tuple[str, ...], given: Any, link: str, line: str | None
) -> None:
    board = ModuleType("board")
    board.LINKS, board.BUSES = links, {"uart0": (), "uart1": (), "i2c0": ()}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "board", board)
    result, problems = config.parse(given)
    assert (result["link"], problems) == (link, [line] if line else [])
    if link == "uart" and line is None:
        assert result["uart"] == {"bus": "uart0", "baudrate": 115_200}
