"""A node without radio: over a serial line and a Linux gateway to a broker and into a store, sealed all the way."""

import dataclasses
import json
import signal as signals
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from quaver.bench.ports import free_port
from quaver.board.interface import Board
from quaver.board.spec import load_board, render_board
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files
from quaver.emulator.bus import Attached
from quaver.emulator.cable import Cable
from quaver.emulator.identity import Identity
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.fleet.link_keys import derive, write_link_keys
from quaver.fleet.operator import Operator
from quaver.gateway.links import Link
from quaver.messages.sealing import Ccm
from quaver.plant.node import standard_rig
from quaver_wire import gatt
from quaver_wire import wired as wired_frames
from quaver_wire.fields import EVENTS
from quaver_wire.link import session_key
from quaver_wire.link_session import Session
from tests.waiting import wait_for_words, wait_until

from .conftest import signal
from .plant import BRANCH, PLACE, Plant

NODE = Identity.of("n1").unique_id


def wired_firmware(where: str, config: dict[str, Any]) -> dict[str, bytes]:
    """A Pico's own firmware, for an emulated Pico W: no package has the Pico's image, and another image has its files
    elsewhere."""
    if where == "unix:":
        return dict(firmware_files("unix", config))
    board = dataclasses.replace(load_board("pico"), flash=load_board("pico_w").flash)
    return dict(firmware_files("pico", config, {"board.py": render_board(board).encode()}))


class Wired:
    """A node at a cable, and the command `quaver gateway` at its other end."""

    def __init__(self, plant: Plant, folder: Path, stack: ExitStack) -> None:
        self.plant = plant
        self._folder = folder
        self._stack = stack
        self._process: subprocess.Popen[str] | None = None
        self._port = free_port()
        (folder / "nodes.json").write_text(json.dumps({NODE.hex(): f"{PLACE}/n1"}))
        write_link_keys(folder / "link.keys", "gw", plant._links("gw", ["n1"]))
        stack.callback(self.stop)

    def node(self, where: str, damage: int = 0, echo: bool = False, real_time: bool = False, **config: Any) -> Board:
        whole = {**BRANCH, "node": "n1", "link": "uart", "watchdog_s": 0, "energy": None, **config}
        files = wired_firmware(where, whole)
        [(generation, key)] = self.plant.keys.device_keys(NODE).items()
        files["device.key"] = json.dumps({"generation": generation, "key": key.hex()}).encode()
        sensors = tuple(
            part
            for part in standard_rig(signal("normal"))
            if part.name == "tmp117" or (part.name == "iis3dwb" and config.get("vibration"))
        )
        rig = (*sensors, Attached("cable", "uart0", 0, Cable(self._port, damage=damage, echo=echo)))
        board = self._stack.enter_context(
            open_board(where, Setup(files=files, rig=rig, name="n1", real_time=real_time))
        )
        self.plant.boards["n1"] = board
        return board

    def gateway(self) -> None:
        """Start it, or start it again."""
        folder = self._folder
        command = [sys.executable, "-m", "quaver.cli", "gateway", "--broker", f"127.0.0.1:{self.plant.mosquitto.port}"]
        command += ["--nodes", str(folder / "nodes.json"), "--store", str(folder / "gateway.sqlite"), "--trust-clock"]
        command += ["--link-keys", str(folder / "link.keys"), "--serial", f"socket://127.0.0.1:{self._port}"]
        said = (folder / "said").open("w+")
        self._process = subprocess.Popen(command, stderr=said, text=True)

    def line(self) -> socket.socket:
        """The node's line, in place of a gateway."""
        return wait_until(self._try_line, what="the line")  # type: ignore[no-any-return]

    def _try_line(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self._port))
        except OSError:  # the node has not yet said a word
            return None

    def kill(self) -> None:
        assert self._process
        self._process.send_signal(signals.SIGKILL)
        self._process.wait(20)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()
            print((self._folder / "said").read_text()[-3000:])


@pytest.fixture
def wired(mosquitto: Any, tmp_path: Path) -> Iterator[Wired]:
    with ExitStack() as stack:
        plant = Plant(None, mosquitto, tmp_path, stack)  # type: ignore[arg-type]  # there is no air
        plant.start("n1")
        yield Wired(plant, tmp_path, stack)
        for name, board in plant.boards.items():
            print(f"{name}:\n{board.console().decode()[-2000:]}")


@pytest.mark.slowest
@pytest.mark.timeout(600)  # noise costs turns, and after each the gateway waits twice as long
def test_noise_a_restart_of_the_gateway_and_a_loss_of_power_cost_no_record(wired: Wired) -> None:
    plant = wired.plant
    node = wired.node("unix:", damage=1500, real_time=True, interval_s=0.3, vibration=None)
    wired.gateway()

    def more(count: int, what: str) -> None:
        before = len(plant.records("n1", "telemetry"))
        wait_until(lambda: len(plant.records("n1", "telemetry")) >= before + count, node, what=what)

    more(6, "records over noise")
    wired.kill()
    wired.gateway()
    more(3, "records for the new gateway")
    node.reset()
    more(3, "records of the new boot")
    ended = node.console().count(b"uart: connection ended")
    wait_until(lambda: node.console().count(b"uart: connection ended") > ended, node, what="what noise ends")
    node.set_sensor("cable", damage=0)
    command = Operator(BrokerUrl("127.0.0.1", plant.mosquitto.port), plant.keys, "n1", timeout_s=120, expires_s=2e6)
    with command as operator:
        operator.ask("identify")
    assert [record["state"] for record in plant.records("n1", "status")] == [2, 2]
    assert plant.accounts()["n1"].unexplained == 0


@pytest.mark.parametrize("where", [pytest.param("rp2040:", marks=pytest.mark.nightly)])
def test_a_picos_own_firmware_behind_an_adapter_that_echoes(wired: Wired, where: str) -> None:
    node = wired.node(where, echo=True, interval_s=5, vibration={"samples": 4096})
    wired.gateway()
    plant = wired.plant
    records = wait_until(lambda: plant.records("n1", "telemetry")[3:], node, what="its records")
    assert all(record["heap_free"] >= 50_000 and record["rms_g"] > 0 for record in records), records
    node.cut_power(3, torn=True)  # type: ignore[attr-defined]  # of an emulated chip
    wait_until(lambda: [e for e in plant.told("n1") if e == "boot"][1:], node, what="its next start")
    assert plant.accounts()["n1"].unexplained == 0


class Unproven(Link):
    """A gateway's proof with a key that is none, which believes whatever answers."""

    def answered(self, message: bytes) -> Session:
        return Session(Ccm(session_key(bytes(32), self.hello, message[1:17])), False)


def test_a_stranger_on_the_line_gets_nothing_and_sets_no_time(wired: Wired) -> None:
    node = wired.node("unix:", interval_s=5, vibration=None)
    frames = wired_frames.Frames(wired_frames.NODE, wired_frames.UPLINK_MAX)
    buffer = bytearray(wired_frames.frame_size(wired_frames.DOWNLINK_MAX))
    heard: list[bytes] = []
    way = Unproven("gw", derive(bytes(32), NODE, 1, "gw", 1))

    def answer(message: bytes) -> bytes:
        if message[0] == wired_frames.HAIL:
            return way.hello
        assert message[0] == gatt.CHALLENGE, "told a stranger more than that it is there"
        return way.answered(message).sign(gatt.time_message(1_700_000_000_000))

    with wired.line() as line:
        while sum(message[0] == gatt.CHALLENGE for message in heard) < 3:
            for message in frames.feed(line.recv(4096)):
                heard.append(message)
                line.sendall(buffer[: wired_frames.put_frame(buffer, wired_frames.GATEWAY, answer(message))])
    wait_for_words(node, b"uart: connection ended: a tag that does not fit", 2)
    wired.gateway()
    refused = wait_until(
        lambda: [e for e in wired.plant.records("n1", "event") if EVENTS[e["code"]] == "message_refused"],
        node,
        what="the refusal, told to the right gateway",
    )
    assert refused[0]["subject"] == "wrong_link_key"
    assert wired.plant.accounts()["n1"].unexplained == 0
