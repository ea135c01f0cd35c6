"""Asks what hangs on the board's buses, by the drivers of the firmware's own registry. Run after `about`."""

import asyncio
import time

import board
import packs
from machine import Pin

packs.mount()  # a board that was stopped early has not done so
supervisor = None  # what the interrupted node held
gc.collect()
import build.config  # by their full names: the node leaves None in their package's place
import build.sensors
import hal

_port = hal.port(board)
asyncio.new_event_loop()  # not the one in which the interrupted node's tasks wait to go on
_own = [name[:-4] for name in os.listdir("/own")] if "own" in os.listdir("/") else []
_OTHER = (202, 206, 209)  # of quaver_wire.reasons: somebody answers, and it is not this part


def _drivers(bus, **place):
    """(what it measures, driver, its section of a configuration) of each that can be at this place of the bus."""
    rows = sys.modules["build.sensors"]
    for measures in sorted(rows.DRIVERS, reverse=True):  # an ADC may be of vibration or of a current: that last
        for driver in rows.names(measures) + _own:
            if not rows._row(measures, driver, []):
                continue
            takes = dict(rows._fields(measures, driver))
            if rows._kind(bus) not in [rows._kind(other) for other in takes.get("bus", ())]:
                continue
            given = dict(driver=driver, bus=bus, **place)
            given.update({key: 1 for key, values in takes.items() if not values})  # the identity needs none of them
            config, problems = sys.modules["build.config"].parse({measures: given})
            section = config[measures]
            # what the driver does not take has become its default: the part is nowhere else then
            if section and all(section[key] == given[key] for key in given if key in section):
                yield measures, driver, section


def _heard(measures, section):
    """None from the part itself, else why it is not there, as OSError's arguments."""
    before = set(sys.modules)
    if section["bus"].startswith("spi"):
        _port._buses.pop(section["bus"], None)  # the last driver may have changed its mode
    try:
        part = sys.modules["build.sensors"].sensor(measures, _port, section)
        part.probe()
        if measures == "energy":  # a Modbus line has no identity: its values are the proof
            asyncio.run(part.read())
        return None
    except OSError as error:
        return error.args[:2]
    except Exception:  # not to be made from defaults, or somebody's own and wrong
        return ()
    finally:
        for name in set(sys.modules) - before:
            sys.modules.pop(name)
        gc.collect()


def _ask(bus, place, by_identity=True):
    """Print who is at this place of a bus: the drivers that know their part there, and what the others heard."""
    known = []
    others = []
    for measures, driver, section in _drivers(bus, **place):
        why = _heard(measures, section)
        if why is None:
            known.append((measures, driver))
            if by_identity:
                break
        elif why and why[0] in _OTHER:
            others.append((driver, why))
    print("place", (bus, place, known, others))


def _lines(**pins):
    """Print the lines that are low although they are pulled up, and those that nothing but the chip pulls up."""
    found = {"low": [], "open": []}
    for role, pin in pins.items():
        for state, pull in (("low", Pin.PULL_UP), ("open", Pin.PULL_DOWN)):
            line = Pin(pin, Pin.IN, pull)
            time.sleep_ms(1)
            if not line.value():
                found[state].append(role)
                break
    print("lines", (found["low"], found["open"]))


def _i2c(bus):
    for address in _port.bus(bus, "i2c").scan():
        _ask(bus, {"address": address})


def _spi(bus, select, others):
    for pin in others:
        _port.output(pin, 1)
    _ask(bus, {"cs": select})


def _one_wire(pin):
    """Print whether somebody is on a 1-Wire line, the ROM codes and if each is whole, and what the driver heard.

    The driver is asked only where one part answers, for it is made for a line of its own.
    """
    section = {"driver": "ds18b20", "bus": "gpio{}".format(pin)}
    try:
        wire = _port.one_wire(pin)
    except ValueError as error:  # this port of MicroPython has none
        print("wire", repr(str(error)))
        return
    present = wire.reset()
    roms = [(bytes(rom), not wire.crc8(rom)) for rom in wire.scan()] if present else []
    print("wire", (present, roms, _heard("temperature", section) if len(roms) == 1 else None))


def _edges(pins, ms):
    """Print how often the level of each pin changed within `ms`, and what it was at the end."""
    counts = [0] * len(pins)

    def counter(at):
        def count(pin):  # an interrupt: it allocates nothing
            counts[at] += 1

        return count

    for at, pin in enumerate(pins):
        _port.on_edge(pin, counter(at))
    time.sleep_ms(ms)
    for pin in pins:
        Pin(pin).irq(None)
    print("edges", [(counts[at], Pin(pin).value()) for at, pin in enumerate(pins)])
