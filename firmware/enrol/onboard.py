"""The composition root of a blank node: it offers its ways in, sends nothing, and restarts once it is enrolled.

Blank is a node that was flashed with a code and holds no device key: main.py looks for the two files. One that has
neither is a board at a desk, and runs.
"""

import asyncio
import gc
import json

import board
import micropython

import hal
from build.keys import load_code, load_key
from enrol.console import Console
from enrol.enrolment import CONFIG, Enrolment
from enrol.provision import serve
from enrol.session import Session, Tries
from hal import noise
from links.wifi import Wifi
from node.clock import Uptime
from node.entropy import Random
from node.room import drop, load
from node.seal import Ccm
from quaver_wire.cose import node_id
from quaver_wire.session import PLAIN_MAX

if False:  # types alone: never compiled
    from collections.abc import Callable

    from network import WLAN

    from hal.chip.common import Hal
    from links.ble_onboard import Doorway
    from links.improv import Improv

_JOIN_LIMIT_MS = 20_000
_WINDOW_S = 300  # after power-on, in which Improv takes a network


def _check(config: dict) -> list[str]:
    """What is wrong with a configuration."""
    try:
        return load("build.config").parse(config)[1]
    finally:
        drop("build.config")


def _improv_wanted() -> bool:
    """Improv is off unless the configuration that the node was flashed with has "improv": 1."""
    try:
        with open(CONFIG) as file:
            return json.load(file).get("improv") == 1
    except (OSError, ValueError, AttributeError):
        return False


class Ways:
    """What a session and Improv have done by the hardware. port: of hal."""

    def __init__(self, port: "Hal") -> None:
        self._port = port
        self._radio: "WLAN | None" = None
        self._blinking = None
        self.network: tuple[str, str] | None = None  # the last that was joined: (ssid, password)
        self.about = {"id": port.unique_id(), "board": board.NAME, "firmware": board.VERSION}

    def _wlan(self) -> "WLAN":
        if "wifi" not in board.LINKS:
            raise OSError("no Wi-Fi")
        if self._radio is None:
            self._radio = self._port.radio()
            self._radio.active(True)
        return self._radio

    async def join(self, ssid: str, password: str) -> None:
        wlan = self._wlan()
        if wlan.isconnected():
            wlan.disconnect()
        await Wifi(wlan, ssid, password).up(_JOIN_LIMIT_MS)
        self.network = (ssid, password)

    async def scan(self) -> list[tuple[str, int, bool]]:
        """The radio's own scan takes the processor for some two seconds."""
        return [(found[0].decode(), found[3], found[4] != 0) for found in self._wlan().scan()]

    def identify(self) -> None:
        asyncio.create_task(self._blink())

    async def _blink(self) -> None:
        """Soon: the LED of a Pico W wakes its radio, which takes the processor, and who asked waits for an answer."""
        from command.identify import blink

        self._blinking = blink(self._port, board, self._blinking)

    async def join_and_save(self, ssid: str, password: str) -> list:
        """Join for Improv and save the network for the enrolment, which may name another. Returns no URL."""
        from node import store

        await self.join(ssid, password)
        try:
            with open(CONFIG) as file:
                given = json.load(file)
        except OSError:
            given = {}
        given["wifi"] = {"ssid": ssid, "password": password}
        store.replace(CONFIG, json.dumps(given).encode())
        return []


def _doorway(
    port: "Hal", identity: bytes, session: Session, enrolment: Enrolment, improv: "Callable | None"
) -> "Doorway | None":
    """The way in over Bluetooth; None where there is none."""
    try:
        from links.ble_onboard import Doorway
    except ImportError:  # of aioble
        return None
    from quaver_wire import chunks, gatt_session

    async def answer(message: bytes, send: "Callable") -> None:
        await serve(session, enrolment, message, send)

    try:
        return Doorway(
            gatt_session,
            chunks,
            uuid=port.uuid,
            identity=identity,
            state=gatt_session.HAS_CODE,
            serve=answer,
            improv=improv,
        )
    except OSError as error:  # a radio that does not start leaves the cable
        print("node: no Bluetooth (errno {})".format(error.args[0]))
        return None


def build(air: bool = True) -> "tuple[Console, Doorway | None, Callable, Callable]":
    """What serves, what ends it, and what restarts the board: (console, doorway or None, end, restart).

    air: over Bluetooth too.
    """
    port = hal.port(board)
    ways = Ways(port)
    tries = Tries(Uptime())
    enrolment = Enrolment(ways.about, check=_check, join=ways.join, scan=ways.scan, identify=ways.identify, tries=tries)
    identity = node_id(bytes.fromhex(port.unique_id()))
    random = Random(noise, identity + (load_code() or b""))

    sessions = []

    def session() -> Session:
        """One for each way in: nobody who comes by radio ends what goes on over the cable."""
        enrolled = load_key() is not None
        made = Session(
            identity,
            code=load_code(),
            aead=lambda key: Ccm(key, PLAIN_MAX),
            tries=tries,
            random=random.draw,
            enrolled=enrolled,
            identify=ways.identify,
        )
        sessions.append(made)
        return made

    console = Console(session(), enrolment)
    improv = None
    if _improv_wanted():
        from links.improv import Improv

        about = ("Quaver", board.VERSION, board.CHIP, identity.hex())

        def improv(emit: "Callable", serial: bool = False) -> "Improv":
            return Improv(
                emit,
                about,
                join=ways.join_and_save,
                scan=ways.scan,
                identify=ways.identify,
                uptime=Uptime(),
                serial=serial,
            )

        console.improv = improv(console.emit, True)
        console.improv.open(_WINDOW_S)
    doorway = _doorway(port, identity, session(), enrolment, improv) if air else None

    def end() -> None:
        """Leave what was turned away for the node to tell of, once it is in service."""
        if doorway:
            doorway.close()
        count = console.refused + sum(made.refused for made in sessions) + (doorway.refused if doorway else 0)
        try:
            if count:
                tries.turned_away(count)
        except OSError:
            pass  # no flash, no count

    return console, doorway, end, port.reset


async def _serve(console: Console, doorway: "Doorway | None", window_s: int | None) -> None:
    if doorway:
        asyncio.create_task(doorway.run(_WINDOW_S))
    await console.run(window_s)


def run(window_s: int | None = None) -> None:
    """Serve until the node is enrolled, then reset the board.

    window_s: of an enrolled node, after power-on: return when nobody asks for it within so many seconds. Before the
    node is built, its whole heap is free for a session; whoever had one finds the node restarted. It listens on
    its console alone: by radio an enrolled node takes sealed commands, once it runs.
    """
    if _improv_wanted():
        micropython.kbd_intr(-1)  # its packets hold a Ctrl-C, and may come before the console listens
    if window_s is None:
        print("node: quaver {} on {}, blank".format(board.VERSION, board.NAME))
    # Nothing here needs the heap in one piece, and X25519 makes a megabyte of numbers: seldom collected, it takes 1 s
    before = gc.threshold()
    gc.threshold(-1)
    console, doorway, end, restart = build(window_s is None)
    try:
        asyncio.run(_serve(console, doorway, window_s))
    finally:
        asyncio.new_event_loop()
        end()
        gc.threshold(before)
    if window_s is None or console.served:
        restart()
